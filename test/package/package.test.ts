// What comes out of the package: by import, by require, and by Fastify's own register. Needs the build.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runNpm } from '../support/plain-process.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string, dependencies: object, optionalDependencies?: object, peerDependencies: object }

// In a process of its own. What it prints is the result.
function run (code: string, type: 'module' | 'commonjs'): string {
  return execFileSync(process.execPath, [`--input-type=${type}`, '-e', code], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

const use = `
  const app = Fastify()
  app.register(plugin)
  app.after(() => app.websocketRoute('/', { onConnection () {} }))
  app.ready().then(() => { console.log(app.hasPlugin('fastify-websocket-route')); return app.close() })
`

t.test('is built', async (t) => {
  t.ok(existsSync(`${root}dist/index.js`), 'npm run build comes first')
})

t.test('has a default and a named export', async (t) => {
  for (const name of ['default as plugin', 'fastifyWebsocketRoute as plugin']) {
    t.equal(run(`import Fastify from 'fastify'; import { ${name} } from 'fastify-websocket-route'; ${use}`, 'module'), 'true')
  }
})

t.test('can be required', async (t) => {
  for (const expression of ["require('fastify-websocket-route')", "require('fastify-websocket-route').default", "require('fastify-websocket-route').fastifyWebsocketRoute"]) {
    t.equal(run(`const Fastify = require('fastify'); const plugin = ${expression}; ${use}`, 'commonjs'), 'true', expression)
  }
})

t.test('exports its errors', async (t) => {
  const codes = run("import { errors } from 'fastify-websocket-route'; console.log(Object.entries(errors).every(([name, make]) => make().code === name))", 'module')
  t.equal(codes, 'true')
})

t.test('has the metadata of fastify-plugin', async (t) => {
  const meta = run(`import plugin from 'fastify-websocket-route'
    console.log(JSON.stringify([plugin[Symbol.for('skip-override')], plugin[Symbol.for('plugin-meta')]]))`, 'module')
  t.same(JSON.parse(meta), [true, { fastify: '>=5.8.1 <6', name: 'fastify-websocket-route' }])
})

t.test('npm ci has nothing to warn of', async (t) => {
  const folder = t.testdir(Object.fromEntries(['package.json', 'package-lock.json', '.npmrc'].map((name) => [name, readFileSync(`${root}${name}`, 'utf8')])))
  const output = await runNpm(folder, ['ci', '--dry-run', '--no-audit', '--no-fund'])
  t.match(output, /added \d+ packages/)
  t.same(output.split('\n').filter((line) => line.startsWith('npm warn')), [])
})

t.test('depends on exactly what it should', async (t) => {
  t.same(Object.keys(manifest.dependencies).sort(), ['@fastify/error', '@types/ws', 'fastify-plugin', 'find-my-way', 'secure-json-parse', 'ws'])
  t.notOk(manifest.optionalDependencies, 'bufferutil has an install script, of which npm warns')
  t.same(manifest.peerDependencies, { fastify: '>=5.8.1 <6' })
})
