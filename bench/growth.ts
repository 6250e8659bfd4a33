// Whether a message and a connection cost the same however many connections are open.
import { CONTENDERS, type ContenderName } from './contenders.ts'
import { exchange, head } from './dialects.ts'
import { withLongWarmUp } from './handshakes.ts'
import type { LoadOptions } from './load-process.ts'
import { type Load, type Pair, startLoads, startServers, stopLoads, stopServers } from './pairs.ts'
import { measurePairs, type Slice, summarise } from './rounds.ts'
import type { Column, Group, Row } from './scenario.ts'
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
  ratio: 'fewest ÷ this',
  band: 0.4,
  scenarios: [{ name: 'per message and per connection', rows: ROWS, measure }]
}]

/** A server for each row, all with so many connections open. */
interface Crowd {
  readonly open: number
  readonly pairs: readonly Pair[]
}

async function measure (settings: Settings): Promise<Column[]> {
  const crowds: Crowd[] = []
  for (const open of settings.isQuick ? [100, 1000] : [100, 1000, 10_000]) {
    const servers = await startServers(ROWS, settings)
    crowds.push({ open, pairs: await startLoads(servers, { mode: 'echo', options: (row) => echoOptions(row, open) }) })
  }
  const messages = await measureCrowds('message', crowds, settings)
  // The others stay open meanwhile.
  const workers = await openBeside(crowds, { mode: 'handshake', options: handshakeOptions })
  const connections = await measureCrowds('connection', workers, withLongWarmUp(settings))
  for (const { pairs } of [...crowds, ...workers]) await stopLoads(pairs)
  for (const { pairs } of crowds) await stopServers(pairs)
  return [...messages, ...connections]
}

async function openBeside (crowds: readonly Crowd[], load: Load): Promise<Crowd[]> {
  const beside: Crowd[] = []
  for (const { open, pairs } of crowds) beside.push({ open, pairs: await startLoads(pairs, load) })
  return beside
}

// All of them in the same rounds, those of a contender next to each other, since it is they that are compared.
async function measureCrowds (what: string, crowds: readonly Crowd[], settings: Settings): Promise<Column[]> {
  const pairs = crowds[0]?.pairs.flatMap((_, row) => crowds.flatMap((crowd) => crowd.pairs[row] ?? [])) ?? []
  const measured = await measurePairs(pairs, settings)
  const slices = new Map(pairs.map((pair, i) => [pair, measured[i] ?? []]))
  return crowds.map((crowd) => ({ name: `${what}, ${crowd.open} open`, cells: compare(crowd, crowds[0], slices) }))
}

function compare (crowd: Crowd, fewest: Crowd | undefined, slices: ReadonlyMap<Pair, readonly Slice[]>): Column['cells'] {
  return new Map(crowd.pairs.map((pair, i) => {
    const reference = crowd === fewest ? undefined : fewest?.pairs[i]
    return [pair.row.name, summarise(slices.get(pair) ?? [], reference && slices.get(reference))]
  }))
}

function echoOptions ({ contender, path }: Row, connections: number): LoadOptions {
  return { connections, inFlight: UNDER_WAY, isRotating: true, head: head(contender, path), ...exchange(contender, 'echo', PAYLOAD) }
}

function handshakeOptions ({ contender, path }: Row): LoadOptions {
  return { connections: WORKERS, head: head(contender, path) }
}
