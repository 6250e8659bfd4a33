// What it costs to send one message to many.
import { CONTENDERS, type ContenderName } from './contenders.ts'
import { clientMessage, head, serverMessage } from './dialects.ts'
import type { LoadOptions } from './load-process.ts'
import { median } from './median.ts'
import { type Load, keepServers, type Pair, startLoads, stopLoads } from './pairs.ts'
import { measureRounds } from './rounds.ts'
import type { Column, Group, Row, Scenario } from './scenario.ts'
import type { Settings } from './settings.ts'

export const FAN_OUT_ROWS: readonly Row[] = (['ws', '@fastify/websocket', 'crossws', 'socket.io', 'ours'] as const).map((name) => row(name, name))
const DEFLATE_ROWS: readonly Row[] = [row('ws', 'ws+deflate'), row('socket.io', 'socket.io+deflate'), row('ours', 'ours+deflate')]

// 256 bytes.
const TEXT = {
  text: 'A message as people write them in a chat: some words, a name or two, the full stop. Packed it is about three fifths of' +
    ' what it was, which for one of this length is as much as can be hoped for; what comes again and again in a text of many pages is not here.'
}
const SUBSCRIBERS = 1000
// Slices in which the allocations are counted.
const COUNTED = 3

export const FAN_OUT: readonly Group[] = [
  {
    title: 'Fan-out of 256 B to 1000 subscribers',
    unit: 'µs of CPU per delivery',
    scenarios: [1, 4].map((inFlight) => fanOut(FAN_OUT_ROWS, inFlight))
  },
  {
    title: 'The same, compressed',
    unit: 'µs of CPU per delivery',
    scenarios: [1, 4].map((inFlight) => fanOut(DEFLATE_ROWS, inFlight))
  },
  {
    title: 'What a delivery allocates',
    unit: 'bytes of the heap per delivery of 256 B to 1000 subscribers',
    scenarios: [1, 4].map((inFlight) => ({ ...fanOut(FAN_OUT_ROWS, inFlight), measure: (settings) => measureAllocations(inFlight, settings) }))
  }
]

export function fanOutOptions ({ contender, path }: Row, connections: number): LoadOptions {
  return {
    connections,
    head: head(contender, path),
    answer: serverMessage(contender, 'news', TEXT),
    publisherHead: head(contender, '/publish'),
    publisherMessage: clientMessage(contender, 'publish', TEXT)
  }
}

function row (name: string, contender: ContenderName): Row {
  return { name, contender: CONTENDERS[contender], path: '/subscribe' }
}

function fanOut (rows: readonly Row[], inFlight: number): Scenario {
  const name = `${inFlight} outstanding`
  return { name, rows, measure: (settings) => measureRounds(name, rows, loadOf(inFlight), settings) }
}

function loadOf (inFlight: number): Load {
  return { mode: 'fan-out', options: (row) => ({ inFlight, ...fanOutOptions(row, SUBSCRIBERS) }) }
}

async function measureAllocations (inFlight: number, settings: Settings): Promise<Column[]> {
  const pairs = await startLoads(await keepServers(FAN_OUT_ROWS, settings), loadOf(inFlight))
  const bytes = new Map<string, number>()
  for (const pair of pairs) bytes.set(pair.row.name, await countPerDelivery(pair, settings))
  await stopLoads(pairs)
  const reference = bytes.get('ws')
  const cells = new Map([...bytes].map(([name, value]) => [name, { value, ratio: reference === undefined ? null : reference / value }]))
  return [{ name: `${inFlight} outstanding`, cells }]
}

async function countPerDelivery ({ server, load }: Pair, { warmUp, slice }: Settings): Promise<number> {
  const counts: number[] = []
  await load.run(warmUp)
  while (counts.length < COUNTED) {
    await server.countAllocations()
    const { operations } = await load.run(slice)
    counts.push(await server.allocations() / operations)
  }
  return median(counts)
}
