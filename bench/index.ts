// npm run bench: README.md has the method.
import { isWithin, readBaseline, writeBaseline } from './baseline.ts'
import { BYSTANDER } from './bystander.ts'
import { CORES, pinThisProcess } from './cores.ts'
import { FAN_OUT } from './fan-out.ts'
import { GROWTH } from './growth.ts'
import { HANDSHAKES } from './handshakes.ts'
import { compileLoad } from './load-process.ts'
import { MEMORY } from './memory.ts'
import { MESSAGES } from './messages.ts'
import { stopKeptServers } from './pairs.ts'
import { describeRun, writeReport } from './report.ts'
import type { Column, Group, Result } from './scenario.ts'
import { select } from './selection.ts'
import { SIZING } from './sizing.ts'
import { SUBSCRIPTIONS } from './subscriptions.ts'
import { readSettings, type Settings } from './settings.ts'
import { renderResult } from './table.ts'

const GROUPS: readonly Group[] = [...HANDSHAKES, ...MESSAGES, ...FAN_OUT, ...SUBSCRIPTIONS, ...BYSTANDER, ...MEMORY, ...GROWTH, ...SIZING]

async function run (groups: readonly Group[], settings: Settings): Promise<Result[]> {
  const results: Result[] = []
  for (const group of groups) {
    const columns: Column[] = []
    for (const { name, measure } of group.scenarios) {
      const start = Date.now()
      columns.push(...await measure(settings))
      console.error(`… ${group.title}: ${name}, ${Math.round((Date.now() - start) / 1000)} s`)
    }
    await stopKeptServers()
    const result = { group, columns }
    console.log(`${renderResult(result)}\n`)
    results.push(result)
  }
  return results
}

async function main (): Promise<void> {
  const settings = readSettings(process.argv.slice(2))
  const groups = select(GROUPS, settings)
  const baseline = settings.isCheck ? readBaseline() : null
  compileLoad()
  pinThisProcess()
  if (CORES === null) console.error('There is no taskset, or only one core: servers and load are not kept apart.')
  console.log(`${describeRun(settings)}\n`)
  const results = await run(groups, settings)
  if (settings.isWrite) {
    writeBaseline(results)
    writeReport(results, settings)
  }
  if (baseline !== null && !isWithin(baseline, results)) process.exitCode = 1
}

try {
  await main()
} catch (error) {
  console.error((error as Error).message)
  // Servers and load generators end with this process.
  process.exit(1)
}
