// Whether a message and a connection cost the same however many connections are open.
import { CONTENDERS, type ContenderName } from './contenders.ts'
import { exchange, head } from './dialects.ts'
import type { LoadOptions } from './load-process.ts'
import { startLoads, startServers, stopLoads, stopServers } from './pairs.ts'
import { measurePairs } from './rounds.ts'
import type { Cell, Column, Group, Row } from './scenario.ts'
import type { Settings } from './settings.ts'

const ROWS: readonly Row[] = (['ws', '@fastify/websocket', 'crossws', 'socket.io', 'ours'] as const).map((contender: ContenderName) => (
  { name: contender, contender: CONTENDERS[contender], path: '/echo' }
))
const WORKERS = 32
// Over all connections, one after the other: what differs is how many there are, not how many are busy.
const UNDER_WAY = 64
const PAYLOAD = { binary: Buffer.alloc(32, 'x') }

export const GROWTH: readonly Group[] = [{
  title: 'Growth',
  unit: `µs of CPU, with so many connections open: per echo of 32 B, ${UNDER_WAY} under way in all, and per connection that is opened and closed`,
  ratio: 'first ÷ this',
  band: 0.4,
  scenarios: [{ name: 'per message and per connection', rows: ROWS, measure }]
}]

interface Cost {
  readonly open: number
  readonly messages: ReadonlyMap<string, Cell>
  readonly connections: ReadonlyMap<string, Cell>
}

async function measure (settings: Settings): Promise<Column[]> {
  const costs: Cost[] = []
  for (const open of settings.isQuick ? [100, 1000] : [100, 1000, 10_000]) costs.push(await measureWith(open, settings))
  const [first] = costs
  return [
    ...costs.map(({ open, messages }) => ({ name: `message, ${open} open`, cells: compare(messages, first?.messages) })),
    ...costs.map(({ open, connections }) => ({ name: `connection, ${open} open`, cells: compare(connections, first?.connections) }))
  ]
}

async function measureWith (open: number, settings: Settings): Promise<Cost> {
  const servers = await startServers(ROWS, settings)
  const echoes = await startLoads(servers, { mode: 'echo', options: (row) => echoOptions(row, open) })
  const messages = await measurePairs(echoes, settings)
  // They stay open meanwhile.
  const handshakes = await startLoads(servers, { mode: 'handshake', options: handshakeOptions })
  const connections = await measurePairs(handshakes, settings)
  await stopLoads([...echoes, ...handshakes])
  await stopServers(servers)
  return { open, messages, connections }
}

function echoOptions ({ contender, path }: Row, connections: number): LoadOptions {
  return { connections, inFlight: UNDER_WAY, isRotating: true, head: head(contender, path), ...exchange(contender, 'echo', PAYLOAD) }
}

function handshakeOptions ({ contender, path }: Row): LoadOptions {
  return { connections: WORKERS, head: head(contender, path) }
}

function compare (cells: ReadonlyMap<string, Cell>, first = cells): ReadonlyMap<string, Cell> {
  return new Map([...cells].map(([row, cell]) => [row, { ...cell, ratio: (first.get(row)?.value ?? cell.value) / cell.value }]))
}
