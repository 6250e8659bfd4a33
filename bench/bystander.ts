// How long somebody else waits for an answer while a fan-out is under way.
import { exchange, head } from './dialects.ts'
import { FAN_OUT_ROWS, fanOutOptions } from './fan-out.ts'
import type { LoadOptions, RoundTrips } from './load-process.ts'
import { startLoad, startServers, stopLoads, stopServers } from './pairs.ts'
import type { Cell, Column, Group, Row } from './scenario.ts'
import type { Settings } from './settings.ts'

const MESSAGE = { text: 'x'.repeat(32) }
// Milliseconds from the end of a fan-out to the next.
const PAUSE = 50

export const BYSTANDER: readonly Group[] = [{
  title: 'A bystander of a fan-out',
  unit: 'p99 of its round trips in µs: echoes of 32 B, one at a time, that a fan-out of 256 B could hold up',
  ratio: 'quiet ÷ busy',
  band: 0.6,
  scenarios: [{ name: 'round trips', rows: FAN_OUT_ROWS, measure }]
}]

async function measure (settings: Settings): Promise<readonly Column[]> {
  const subscribers = settings.isQuick ? 2000 : 10_000
  const quiet = new Map<string, Cell>()
  const busy = new Map<string, Cell>()
  for (const row of FAN_OUT_ROWS) {
    const trips = await measureRow(row, subscribers, settings)
    if (trips === null) continue
    quiet.set(row.name, { value: trips.quiet.p99, ratio: null })
    busy.set(row.name, { value: trips.busy.p99, ratio: trips.quiet.p99 / trips.busy.p99 })
  }
  const of = `${subscribers} subscribers`
  return [{ name: `${of}, quiet`, cells: quiet }, { name: `${of}, fan-out`, cells: busy }]
}

async function measureRow (
  row: Row, subscribers: number, settings: Settings
): Promise<{ quiet: RoundTrips, busy: RoundTrips } | null> {
  const servers = await startServers([row], settings)
  const [serving] = servers
  if (serving === undefined) return null
  const pair = await startLoad(serving, { mode: 'fan-out', options: (row) => bystanderOptions(row, subscribers) })
  await pair.load.paced(settings.warmUp, PAUSE)
  const duration = settings.rounds * settings.slice
  const trips = { quiet: await pair.load.quiet(duration), busy: await pair.load.paced(duration * 3, PAUSE) }
  await stopLoads([pair])
  await stopServers(servers)
  return trips
}

function bystanderOptions (row: Row, subscribers: number): LoadOptions {
  const { message, answer } = exchange(row.contender, 'echo', MESSAGE)
  return {
    ...fanOutOptions(row, subscribers),
    bystanderHead: head(row.contender, '/echo'),
    bystanderMessage: message,
    bystanderAnswer: answer
  }
}
