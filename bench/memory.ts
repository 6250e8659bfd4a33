// What an idle connection holds, and what those leave that have gone.
import { CONTENDERS, type ContenderName } from './contenders.ts'
import { head, type Headers } from './dialects.ts'
import { type Serving, startLoad, startServers, stopLoads, stopServers } from './pairs.ts'
import type { Cell, Column, Group, Row } from './scenario.ts'
import type { Settings } from './settings.ts'

const ROWS: readonly Row[] = (['ws', '@fastify/websocket', 'crossws', 'socket.io', 'ours'] as const).map((contender: ContenderName) => (
  { name: contender, contender: CONTENDERS[contender], path: '/echo' }
))
const WORKERS = 32
// Come and go before, so that code and inline caches are not counted.
const EARLIER = 1000
const KIB = 1024

/** Bytes. */
interface Memory {
  readonly heap: number
  readonly rss: number
}

type MemoryTest = (serving: Serving, settings: Settings) => Promise<Memory>

export const MEMORY: readonly Group[] = [
  {
    title: 'Memory of an idle connection',
    unit: 'KiB per connection, after a garbage collection',
    scenarios: [
      { name: 'minimal headers', rows: ROWS, measure: (settings) => measure('minimal headers', holdMinimal, settings) },
      { name: 'browser headers', rows: ROWS, measure: (settings) => measure('browser headers', holdBrowser, settings) }
    ]
  },
  {
    title: 'Memory left behind',
    unit: 'KiB in all, after a garbage collection, when connections have come and gone',
    scenarios: [{ name: 'churn', rows: ROWS, measure: measureChurn }]
  }
]

const holdMinimal: MemoryTest = (serving, settings) => hold(serving, 'minimal', settings.isQuick ? 2000 : 10_000)
const holdBrowser: MemoryTest = (serving, settings) => hold(serving, 'browser', settings.isQuick ? 2000 : 10_000)

async function measure (name: string, test: MemoryTest, settings: Settings): Promise<Column[]> {
  const heap = new Map<string, number>()
  const rss = new Map<string, number>()
  for (const row of ROWS) {
    const servers = await startServers([row], settings)
    for (const serving of servers) {
      const memory = await test(serving, settings)
      heap.set(row.name, memory.heap / KIB)
      rss.set(row.name, memory.rss / KIB)
    }
    await stopServers(servers)
  }
  return [{ name: `${name}, heap`, cells: toCells(heap) }, { name: `${name}, RSS`, cells: toCells(rss) }]
}

async function measureChurn (settings: Settings): Promise<Column[]> {
  const count = settings.isQuick ? 10_000 : 200_000
  const columns = await measure(`${count} connections`, (serving) => churn(serving, count), settings)
  // A ratio of what is next to nothing says nothing.
  return columns.map(({ name, cells }) => ({ name, cells: new Map([...cells].map(([row, { value }]) => [row, { value, ratio: null }])) }))
}

async function hold (serving: Serving, headers: Headers, count: number): Promise<Memory> {
  await comeAndGo(serving, EARLIER)
  const before = await serving.server.memory()
  const pair = await startLoad(serving, { mode: 'hold', options: ({ contender, path }) => ({ connections: count, head: head(contender, path, headers) }) })
  const after = await serving.server.memory()
  await stopLoads([pair])
  return { heap: (after.heapUsed - before.heapUsed) / count, rss: (after.rss - before.rss) / count }
}

async function churn (serving: Serving, count: number): Promise<Memory> {
  await comeAndGo(serving, EARLIER)
  const before = await serving.server.memory()
  await comeAndGo(serving, count)
  const after = await serving.server.memory()
  return { heap: after.heapUsed - before.heapUsed, rss: after.rss - before.rss }
}

async function comeAndGo (serving: Serving, count: number): Promise<void> {
  const pair = await startLoad(serving, { mode: 'handshake', options: ({ contender, path }) => ({ connections: WORKERS, head: head(contender, path) }) })
  await pair.load.count(count)
  await stopLoads([pair])
}

function toCells (values: ReadonlyMap<string, number>): Map<string, Cell> {
  const reference = values.get('ws')
  return new Map([...values].map(([row, value]) => [row, { value, ratio: reference === undefined ? null : reference / value }]))
}
