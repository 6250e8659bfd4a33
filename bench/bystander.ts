// How long somebody else waits for an answer while a fan-out is under way.
import { exchange, head } from './dialects.ts'
import { FAN_OUT_ROWS, fanOutOptions } from './fan-out.ts'
import type { BystanderReport, LoadOptions } from './load-process.ts'
import { type Pair, startLoads, startServers, stopLoads, stopServers } from './pairs.ts'
import type { Cell, Column, Group, Row } from './scenario.ts'
import type { Settings } from './settings.ts'

const MESSAGE = { text: 'x'.repeat(32) }
// Milliseconds from the end of a fan-out to the next.
const PAUSE = 20
// A fan-out takes as long as many of the other slices: this one is longer.
const LONGER = 4

export const BYSTANDER: readonly Group[] = [{
  title: 'A bystander of a fan-out',
  unit: 'p99 of its round trips in µs: echoes of 32 B, one at a time, alone and while a fan-out of 256 B could hold them up',
  band: 0.4,
  scenarios: [{ name: 'round trips', rows: FAN_OUT_ROWS, measure }]
}]

type Met = ReadonlyMap<Pair, BystanderReport[]>

async function measure (settings: Settings): Promise<readonly Column[]> {
  const subscribers = settings.isQuick ? 2000 : 10_000
  const servers = await startServers(FAN_OUT_ROWS, settings)
  const pairs = await startLoads(servers, { mode: 'fan-out', options: (row) => bystanderOptions(row, subscribers) })
  const quiet: Met = new Map(pairs.map((pair) => [pair, []]))
  const busy: Met = new Map(pairs.map((pair) => [pair, []]))
  for (const pair of pairs) await measurePair(pair, settings.warmUp / LONGER)
  for (let round = 0; round < settings.rounds; round++) {
    for (const pair of pairs) {
      const reports = await measurePair(pair, settings.slice)
      quiet.get(pair)?.push(reports.quiet)
      busy.get(pair)?.push(reports.busy)
    }
  }
  await stopLoads(pairs)
  await stopServers(servers)
  return [
    { name: `${subscribers} subscribers, quiet`, cells: toCells(quiet, false) },
    { name: `${subscribers} subscribers, fan-out`, cells: toCells(busy, true) }
  ]
}

async function measurePair ({ load }: Pair, milliseconds: number): Promise<{ quiet: BystanderReport, busy: BystanderReport }> {
  return { quiet: await load.quiet(milliseconds), busy: await load.paced(LONGER * milliseconds, PAUSE) }
}

// A round has too few for a percentile of its own: all rounds together have one.
function toCells (met: Met, isCompared: boolean): ReadonlyMap<string, Cell> {
  const p99s = new Map([...met].map(([{ row }, reports]) => [row.name, p99(reports.flatMap(({ roundTrips }) => roundTrips))]))
  const reference = isCompared ? p99s.get('ws') : undefined
  return new Map([...met].map(([{ row }, reports]) => {
    const value = p99s.get(row.name) as number
    const loadShare = sum(reports.map(({ cpu }) => cpu)) / sum(reports.map(({ elapsed }) => elapsed))
    return [row.name, { value, ratio: reference === undefined ? null : reference / value, loadShare }]
  }))
}

function p99 (values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? NaN
}

function sum (values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
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
