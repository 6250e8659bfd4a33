// What a subscription costs, the first one to a topic and one that comes after nine hundred others.
import { CONTENDERS } from './contenders.ts'
import { head } from './dialects.ts'
import { startLoad, startServers, stopLoads, stopServers } from './pairs.ts'
import type { Cell, Column, Group, Row } from './scenario.ts'
import type { Settings } from './settings.ts'
import type { SubscriptionCosts } from './subscribing.ts'

// Those that have subscriptions.
const ROWS: readonly Row[] = (['crossws', 'socket.io', 'ours'] as const).map((name) => ({ name, contender: CONTENDERS[name], path: '/subscribe' }))
const CONNECTIONS = 1000

export const SUBSCRIPTIONS: readonly Group[] = [{
  title: 'A subscription',
  unit: 'the first to a topic, and those from the 901st to the 1000th: ns for each, and bytes of the heap',
  scenarios: [{ name: 'first and thousandth', rows: ROWS, measure }]
}]

async function measure (settings: Settings): Promise<Column[]> {
  const costs = new Map<string, SubscriptionCosts>()
  for (const row of ROWS) {
    const servers = await startServers([row], settings)
    for (const serving of servers) {
      const pair = await startLoad(serving, { mode: 'hold', options: ({ contender, path }) => ({ connections: CONNECTIONS, head: head(contender, path) }) })
      costs.set(row.name, await serving.server.subscriptionCosts())
      await stopLoads([pair])
    }
    await stopServers(servers)
  }
  return [
    { name: 'first, ns', cells: toCells(costs, ({ time }) => time.first) },
    { name: 'thousandth, ns', cells: toCells(costs, ({ time }) => time.later) },
    { name: 'first, bytes', cells: toCells(costs, ({ heap }) => heap.first) },
    { name: 'thousandth, bytes', cells: toCells(costs, ({ heap }) => heap.later) }
  ]
}

function toCells (costs: ReadonlyMap<string, SubscriptionCosts>, valueOf: (costs: SubscriptionCosts) => number): Map<string, Cell> {
  return new Map([...costs].map(([row, of]) => [row, { value: valueOf(of), ratio: null }]))
}
