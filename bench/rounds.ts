// By turns: A B C A B C …, so that whatever else the machine does meanwhile meets all of them alike.
import { type LoadMode, type LoadOptions, LoadProcess } from './load-process.ts'
import { median } from './median.ts'
import { type Cell, type Row, selectRows } from './scenario.ts'
import { ServerProcess } from './server-process.ts'
import type { Settings } from './settings.ts'

/** A server, and the load for it. */
export interface Pair {
  readonly row: Row
  readonly server: ServerProcess
  readonly load: LoadProcess
}

interface Slice {
  /** Microseconds of the server's CPU per operation. */
  readonly cost: number
  readonly loadShare: number
}

const REFERENCE = 'ws'

export type LoadOptionsOf = (row: Row, port: number) => LoadOptions

export async function startServers (rows: readonly Row[]): Promise<Array<{ row: Row, server: ServerProcess }>> {
  return Promise.all(rows.map(async (row) => ({ row, server: await ServerProcess.start(row.contender) })))
}

/** Measures all rows in the same rounds, each with a server and a load generator of its own. */
export async function measureRounds (
  rows: readonly Row[], mode: LoadMode, optionsOf: LoadOptionsOf, settings: Settings
): Promise<ReadonlyMap<string, Cell>> {
  const pairs: Pair[] = []
  for (const { row, server } of await startServers(selectRows(rows, settings))) {
    const options = { port: server.port, isEngineIo: row.contender.isEngineIo, ...optionsOf(row, server.port) }
    pairs.push({ row, server, load: await LoadProcess.start(row.name, mode, options) })
  }
  const cells = await measurePairs(pairs, settings)
  await Promise.all(pairs.map(async ({ server, load }) => {
    await load.stop()
    await server.stop()
  }))
  return cells
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
