// By turns: A B C A B C …, so that whatever else the machine does meanwhile meets all of them alike.
import { median } from './median.ts'
import { keepServers, type Load, type Pair, startLoads, stopLoads } from './pairs.ts'
import type { Cell, Column, Row } from './scenario.ts'
import type { Settings } from './settings.ts'

interface Slice {
  /** Microseconds of the server's CPU per operation. */
  readonly cost: number
  readonly loadShare: number
}

const REFERENCE = 'ws'

/** Measures all rows in the same rounds, each with a server and a load generator of its own: one column. */
export async function measureRounds (name: string, rows: readonly Row[], load: Load, settings: Settings): Promise<readonly Column[]> {
  const pairs = await startLoads(await keepServers(rows, settings), load)
  const cells = await measurePairs(pairs, settings)
  await stopLoads(pairs)
  return [{ name, cells }]
}

export async function measurePairs (pairs: readonly Pair[], { rounds, warmUp, slice }: Settings): Promise<ReadonlyMap<string, Cell>> {
  const slices = new Map(pairs.map(({ row }) => [row.name, [] as Slice[]]))
  for (const { load } of pairs) await load.run(warmUp)
  for (let round = 0; round < rounds; round++) {
    for (const pair of pairs) slices.get(pair.row.name)?.push(await measureSlice(pair, slice))
  }
  const reference = slices.get(REFERENCE)
  return new Map([...slices].map(([name, own]) => [name, summarise(own, reference)]))
}

async function measureSlice ({ server, load }: Pair, milliseconds: number): Promise<Slice> {
  const before = await server.cpuTime()
  const { operations, elapsed, cpu } = await load.run(milliseconds)
  return { cost: (await server.cpuTime() - before) / operations, loadShare: cpu / elapsed }
}

// The ratio is that of each round, since the rounds differ more than what is compared in them.
function summarise (own: readonly Slice[], reference: readonly Slice[] | undefined): Cell {
  return {
    value: median(own.map(({ cost }) => cost)),
    ratio: reference === undefined ? null : median(own.map(({ cost }, round) => (reference[round] as Slice).cost / cost)),
    loadShare: median(own.map(({ loadShare }) => loadShare))
  }
}
