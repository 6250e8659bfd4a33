// By turns: A B C A B C …, so that whatever else the machine does meanwhile meets all of them alike.
import { median } from './median.ts'
import { keepServers, type Load, type Pair, startLoads, stopLoads } from './pairs.ts'
import type { Cell, Column, Row } from './scenario.ts'
import type { Settings } from './settings.ts'

export interface Slice {
  /** Microseconds of the server's CPU per operation. */
  readonly cost: number
  readonly loadShare: number
  readonly kernelShare: number
}

const REFERENCE = 'ws'

/** Measures all rows in the same rounds, each with a server and a load generator of its own: one column. */
export async function measureRounds (name: string, rows: readonly Row[], load: Load, settings: Settings): Promise<readonly Column[]> {
  const pairs = await startLoads(await keepServers(rows, settings), load)
  const slices = await measurePairs(pairs, settings)
  await stopLoads(pairs)
  const reference = slices[pairs.findIndex(({ row }) => row.name === REFERENCE)]
  return [{ name, cells: new Map(pairs.map(({ row }, i) => [row.name, summarise(slices[i] ?? [], reference)])) }]
}

/** The slices of each pair, one for each round. */
export async function measurePairs (pairs: readonly Pair[], { rounds, warmUp, slice }: Settings): Promise<ReadonlyArray<readonly Slice[]>> {
  const slices = pairs.map((): Slice[] => [])
  for (const { load } of pairs) await load.run(warmUp)
  for (let round = 0; round < rounds; round++) {
    for (const [i, pair] of pairs.entries()) slices[i]?.push(await measureSlice(pair, slice))
  }
  return slices
}

async function measureSlice ({ server, load }: Pair, milliseconds: number): Promise<Slice> {
  const before = await server.cpuTime()
  const { operations, elapsed, cpu } = await load.run(milliseconds)
  const after = await server.cpuTime()
  const used = after.all - before.all
  return { cost: used / operations, loadShare: cpu / elapsed, kernelShare: (after.kernel - before.kernel) / used }
}

/** The ratio is that of each round, since the rounds differ more than what is compared in them. */
export function summarise (own: readonly Slice[], reference: readonly Slice[] | undefined): Cell {
  return {
    value: median(own.map(({ cost }) => cost)),
    ratio: reference === undefined ? null : median(own.map(({ cost }, round) => (reference[round] as Slice).cost / cost)),
    loadShare: median(own.map(({ loadShare }) => loadShare)),
    kernelShare: median(own.map(({ kernelShare }) => kernelShare))
  }
}
