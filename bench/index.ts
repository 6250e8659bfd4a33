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
import { readSettings, type Settings } from './settings.ts'
import { renderResult } from './table.ts'

const GROUPS: readonly Group[] = [...HANDSHAKES, ...MESSAGES, ...FAN_OUT, ...BYSTANDER, ...MEMORY, ...GROWTH]

async function run (settings: Settings): Promise<Result[]> {
  const results: Result[] = []
  for (const group of GROUPS) {
    const columns: Column[] = []
    for (const { name, isLong, measure } of group.scenarios) {
      if (!`${group.title}: ${name}`.toLowerCase().includes(settings.only) || (settings.isQuick && isLong)) continue
      console.error(`… ${group.title}: ${name}`)
      columns.push(...await measure(settings))
    }
    await stopKeptServers()
    if (columns.length === 0) continue
    const result = { group, columns }
    console.log(`${renderResult(result)}\n`)
    results.push(result)
  }
  return results
}

async function main (): Promise<void> {
  const settings = readSettings(process.argv.slice(2))
  const baseline = settings.isCheck ? readBaseline() : null
  compileLoad()
  pinThisProcess()
  if (CORES === null) console.error('There is no taskset, or only one core: servers and load are not kept apart.')
  console.log(`${describeRun(settings)}\n`)
  const results = await run(settings)
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
