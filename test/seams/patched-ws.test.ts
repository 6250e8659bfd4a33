// Tests of the wire with copies of ws whose insides are others: what the plugin does must not depend on them.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Teardown } from '../support/app.ts'

t.setTimeout(240_000)

type Patch = readonly [file: string, pattern: RegExp, replacement: string]

const root = fileURLToPath(new URL('../..', import.meta.url))

const LISTENERS: Patch[] = [
  [
    'websocket.js', / {4}socket\.on\('close', socketOnClose\);\n {4}socket\.on\('data', socketOnData\);\n {4}socket\.on\('end', socketOnEnd\);\n {4}socket\.on\('error', socketOnError\);\n/,
    `    const bound = socket.boundListeners = {};
    for (const [event, listener] of [['error', socketOnError], ['end', socketOnEnd], ['data', socketOnData], ['close', socketOnClose]]) {
      socket.on(event, bound[event] = listener.bind(socket));
    }
    socket.on('data', () => {});
    socket.on('end', () => {});
`
  ],
  ['websocket.js', /websocket\._socket\.removeListener\('data', socketOnData\)/g, "websocket._socket.removeListener('data', websocket._socket.boundListeners.data)"],
  ['websocket.js', /this\.removeListener\('(\w+)', socketOn\w+\)/g, "this.removeListener('$1', this.boundListeners.$1)"]
]

const SENDER: Patch[] = [
  ['sender.js', / {2}sendFrame\(list, cb\) \{\n/, '  sendFrame(list, cb) { setImmediate(() => this.sendFrameNow(list, cb)); }\n\n  sendFrameNow(list, cb) {\n']
]

const ACCESSOR: Patch[] = [['websocket.js', /get bufferedAmount\(\) \{/, 'get anotherName() {']]

/** Runs tests with a copy of ws; returns what failed. */
function runWith (t: Teardown, patches: Patch[], files: string[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'patched-ws-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'node_modules'))
  cpSync(join(root, 'node_modules/ws'), join(folder, 'node_modules/ws'), { recursive: true })
  symlinkSync(join(root, 'node_modules/fastify'), join(folder, 'node_modules/fastify'))
  for (const [name, pattern, replacement] of patches) {
    const file = join(folder, 'node_modules/ws/lib', name)
    const source = readFileSync(file, 'utf8')
    const patched = source.replace(pattern, replacement)
    if (patched === source) throw new Error(`${name} of ws has no ${pattern} any more`)
    writeFileSync(file, patched)
  }
  // What tells a test that tap runs it must not reach one that runs by itself.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^_?TAP|^NODE_OPTIONS$|^NODE_V8_COVERAGE$/.test(name)))
  const imports = ['load-typescript.js', 'neighbours-hook.js'].map((name) => new URL(`../support/${name}`, import.meta.url).href)
  return files.flatMap((file) => {
    const args = [...imports.map((url) => `--import=${url}`), file]
    const { stdout, status } = spawnSync(process.execPath, args, { cwd: root, env: { ...env, NEIGHBOURS: folder, PATCHED_WS: '1' }, encoding: 'utf8', maxBuffer: 2 ** 28 })
    const failed = stdout.split('\n').filter((line) => /^ *not ok/.test(line)).map((line) => `${file}: ${line.trim()}`)
    return status === 0 ? failed : [...failed, `${file}: exit code ${status}`]
  })
}

t.test('listeners of ws that are bound, in another order, and more of them, change nothing', async (t) => {
  t.same(runWith(t, LISTENERS, ['test/connection/closing.test.ts', 'test/receive/messages.test.ts', 'test/receive/paced-stream.test.ts']), [])
})

t.test('with a ws that writes its frames later all is sent by its send(), in order', async (t) => {
  t.same(runWith(t, SENDER, ['test/seams/fallback.test.ts', 'test/connection/containment.test.ts']), [])
})

t.test('with a ws that has no accessor for bufferedAmount no frame is held back from it', async (t) => {
  t.same(runWith(t, ACCESSOR, ['test/seams/fallback.test.ts']), [])
})
