// Runs the tests that speak the wire with other versions of ws and Fastify: `lowest` and `newest` are those that package.json
// allows, anything else is versions, such as `ws@8.21.0 fastify@5.9.0`; then any options and files for tap.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

// Where the plugin meets ws and Fastify; not what runs with the installed versions in another process, nor what takes longest.
const ROOMS = ['seams', 'upgrade', 'handshake', 'route', 'connection', 'receive', 'inject']
const LEFT_OUT = ['seams/patched-ws.test.ts', 'handshake/limits.test.ts']

const { dependencies, peerDependencies } = readJson(new URL('../../package.json', import.meta.url))
const ranges = { ws: dependencies.ws, fastify: peerDependencies.fastify }
const lowest = Object.entries(ranges).map(([name, range]) => `${name}@${/\d+\.\d+\.\d+/.exec(range)}`)
const newest = Object.entries(ranges).map(([name, range]) => `${name}@${range}`)

const [which, ...rest] = process.argv.slice(2)
const isName = (arg) => /^(ws|fastify)@/.test(arg)
const packages = { lowest, newest }[which] ?? process.argv.slice(2).filter(isName)
const options = rest.filter((arg) => !isName(arg))
const folder = mkdtempSync(join(tmpdir(), 'neighbours-'))

try {
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--prefix', folder, ...packages], { stdio: 'inherit' })
  process.exitCode = run()
} finally {
  rmSync(folder, { recursive: true })
}

function run () {
  const versions = packages.map((spec) => spec.split('@')[0]).map((name) => [name, readJson(`${folder}/node_modules/${name}/package.json`).version])
  console.log(`Neighbours: ${versions.map((version) => version.join(' ')).join(', ')}`)
  const hook = new URL('neighbours-hook.js', import.meta.url).href
  const args = ['--disable-coverage', '--allow-empty-coverage', `--node-arg=--import=${hook}`, ...options]
  if (!options.some((option) => option.includes('test/'))) args.push(...wireTests())
  const env = { ...process.env, NEIGHBOURS: folder, NEIGHBOUR_VERSIONS: JSON.stringify(Object.fromEntries(versions)) }
  const { status } = spawnSync(process.execPath, [fileURLToPath(new URL('run-tests.js', import.meta.url)), ...args], { stdio: 'inherit', env })
  return status ?? 1
}

function wireTests () {
  const files = ROOMS.flatMap((room) => readdirSync(new URL(`../${room}`, import.meta.url)).map((name) => `${room}/${name}`))
  return files.filter((file) => file.endsWith('.test.ts') && !LEFT_OUT.includes(file)).map((file) => `test/${file}`)
}

function readJson (file) {
  return JSON.parse(readFileSync(file, 'utf8'))
}
