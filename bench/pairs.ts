// Servers, and loads for them.
import { type LoadMode, type LoadOptions, LoadProcess } from './load-process.ts'
import type { Row } from './scenario.ts'
import { takesPart } from './selection.ts'
import { ServerProcess } from './server-process.ts'
import type { Settings } from './settings.ts'

export interface Serving {
  readonly row: Row
  readonly server: ServerProcess
}

export interface Pair extends Serving {
  readonly load: LoadProcess
}

export interface Load {
  readonly mode: LoadMode
  readonly options: (row: Row) => LoadOptions
}

const kept = new Map<Row, ServerProcess>()

/** One for each row whose contender takes part. */
export function startServers (rows: readonly Row[], settings: Settings): Promise<Serving[]> {
  const selected = rows.filter((row) => takesPart(row, settings))
  return Promise.all(selected.map(async (row) => ({ row, server: await ServerProcess.start(row.contender) })))
}

/** The same, but they serve the next scenarios of these rows too. */
export async function keepServers (rows: readonly Row[], settings: Settings): Promise<Serving[]> {
  const started = await startServers(rows.filter((row) => !kept.has(row)), settings)
  for (const { row, server } of started) kept.set(row, server)
  return rows.flatMap((row) => {
    const server = kept.get(row)
    return server === undefined ? [] : [{ row, server }]
  })
}

export async function stopKeptServers (): Promise<void> {
  await Promise.all([...kept.values()].map((server) => server.stop()))
  kept.clear()
}

export async function startLoads (servings: readonly Serving[], load: Load): Promise<Pair[]> {
  const pairs: Pair[] = []
  // One after the other: they are on the same core.
  for (const serving of servings) pairs.push(await startLoad(serving, load))
  return pairs
}

export async function startLoad ({ row, server }: Serving, { mode, options }: Load): Promise<Pair> {
  const { contender, name } = row
  const load = await LoadProcess.start(name, mode, { port: server.port, isEngineIo: contender.isEngineIo, ...options(row) })
  return { row, server, load }
}

export async function stopLoads (pairs: readonly Pair[]): Promise<void> {
  await Promise.all(pairs.map(({ load }) => load.stop()))
}

export async function stopServers (servings: readonly Serving[]): Promise<void> {
  await Promise.all(servings.map(({ server }) => server.stop()))
}
