// `npm test` ends with the names of what has failed, however it has.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Teardown } from '../support/app.ts'

const script = fileURLToPath(new URL('../support/run-tests.js', import.meta.url))

/** Runs these files in a project of their own, and returns the lines after `Failed:`, and the exit code. */
function run (t: Teardown, files: Record<string, string>, ...args: string[]): { failed: string[], code: number | null } {
  const folder = mkdtempSync(join(tmpdir(), 'run-tests-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  for (const [name, source] of Object.entries(files)) writeFileSync(join(folder, name), name.endsWith('.test.js') ? `import t from 'tap'\n${source}` : source)
  const names = Object.keys(files).filter((name) => name !== 'half.js')
  // What tells a test that tap runs it must not reach another tap.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^_?TAP|^NODE_OPTIONS$|^NODE_V8_COVERAGE$/.test(name)))
  const { stdout, status } = spawnSync(process.execPath, [script, ...args, ...names], { cwd: folder, env, encoding: 'utf8' })
  const lines = stdout.trimEnd().split('\n')
  return { failed: lines.includes('Failed:') ? lines.slice(lines.lastIndexOf('Failed:') + 1).map((line) => line.trim()) : [], code: status }
}

t.test('names each assertion that failed after the tests that it is in, and whatever else went wrong', async (t) => {
  const { failed, code } = run(t, {
    'assertions.test.js': `
      t.test('outer', async (t) => { await t.test('inner', async (t) => { t.equal(1, 2, 'one is two'); t.ok(true) }) })
      t.test('later', { todo: true }, async (t) => { t.ok(false) })
      t.test('elsewhere', { skip: true }, async (t) => { t.ok(false) })`,
    'killed.test.js': "t.test('is killed', async (t) => { t.ok(true); process.kill(process.pid, 'SIGKILL'); await new Promise(() => {}) })",
    'import.test.js': "import './nowhere.js'",
    'slow.test.js': "t.setTimeout(500)\nt.test('hangs', async () => { setInterval(() => {}, 1000); await new Promise(() => {}) })",
    'unfinished.test.js': "t.test('waits for nothing', async () => { await new Promise(() => {}) })"
  }, '--disable-coverage', '--allow-empty-coverage', '--jobs=2')
  t.equal(code, 1)
  t.same(failed.toSorted(), [
    'assertions.test.js > outer > inner > one is two',
    'import.test.js > exit code 1',
    'killed.test.js > SIGKILL',
    'slow.test.js > hangs > timeout!',
    'slow.test.js > timeout!',
    'unfinished.test.js > no result'
  ])
})

t.test('names a bail-out', async (t) => {
  const { failed, code } = run(t, { 'bails.tap': 'ok 1\nBail out! no more of it\n' }, '--disable-coverage', '--allow-empty-coverage')
  t.equal(code, 1)
  t.same(failed, ['Bail out! no more of it'])
})

t.test('names the files that are not covered', async (t) => {
  const { failed, code } = run(t, {
    'half.js': 'export const half = (is) => {\n  if (is) return 1\n  return 2\n}',
    'half.test.js': "import { half } from './half.js'\nt.equal(half(true), 1)"
  })
  t.equal(code, 1)
  t.match(failed, [/^coverage of half.js: lines 75 %/])
  t.equal(failed.length, 1)
})

t.test('ends as tap does when nothing has failed', async (t) => {
  const { failed, code } = run(t, {}, '--version')
  t.equal(code, 0)
  t.same(failed, [])
})
