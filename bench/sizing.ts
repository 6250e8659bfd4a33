// What a topic takes of a process whose publisher keeps a rate: docs/topics.md has it for those who plan.
import { CONTENDERS } from './contenders.ts'
import { fanOutOptions } from './fan-out.ts'
import { startLoad, startServers, stopLoads, stopServers, type Serving } from './pairs.ts'
import type { Cell, Column, Group, Row } from './scenario.ts'
import type { Settings } from './settings.ts'

// Subscribers, and messages a second.
const SHAPES = [[100, 10], [100, 100], [100, 300], [1000, 1], [1000, 10], [1000, 50], [10_000, 1], [10_000, 4]] as const
const MIB = 1024 * 1024
// Seconds of a rate, so that few messages are many enough.
const LONGER = 20

const ROWS: readonly Row[] = SHAPES.map(([subscribers, rate]) => (
  { name: `${subscribers} subscribers, ${rate} a second`, contender: CONTENDERS.ours, path: '/subscribe' }
))

const COLUMNS = ['deliveries a second', 'CPU, % of a core', 'µs of CPU per delivery', 'MiB above idle'] as const
type Values = Readonly<Record<typeof COLUMNS[number], number>>

export const SIZING: readonly Group[] = [{
  title: 'Sizing of a topic',
  unit: 'texts of 256 B, at a rate, with nothing else to do: all that the process takes, and the memory that it holds more than before the first message',
  scenarios: [{ name: 'rates', isLong: true, rows: ROWS, measure }]
}]

async function measure (settings: Settings): Promise<Column[]> {
  const measured = new Map<string, Values>()
  for (const [i, row] of ROWS.entries()) {
    const [subscribers, rate] = SHAPES[i] as typeof SHAPES[number]
    const servers = await startServers([row], settings)
    for (const serving of servers) measured.set(row.name, await measureRate(serving, subscribers, rate, settings.slice * LONGER))
    await stopServers(servers)
  }
  return COLUMNS.map((name) => ({ name, cells: new Map([...measured].map(([row, values]): [string, Cell] => [row, { value: values[name], ratio: null }])) }))
}

async function measureRate (serving: Serving, subscribers: number, rate: number, milliseconds: number): Promise<Values> {
  const { server, load } = await startLoad(serving, { mode: 'fan-out', options: (row) => fanOutOptions(row, subscribers) })
  const pause = 1000 / rate
  const idle = await server.memory()
  await load.pacedDeliveries(milliseconds / 4, pause)
  const before = await server.cpuTime()
  const { operations, elapsed } = await load.pacedDeliveries(milliseconds, pause)
  const cpu = (await server.cpuTime()).all - before.all
  const { rss } = await server.memoryNow()
  await stopLoads([{ ...serving, load }])
  return {
    'deliveries a second': operations / elapsed * 1e6,
    'CPU, % of a core': cpu / elapsed * 100,
    'µs of CPU per delivery': cpu / operations,
    'MiB above idle': (rss - idle.rss) / MIB
  }
}
