// Runs tap with the arguments that it is given, and ends with the names of what has failed. The exit code is tap's.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Parser } from 'tap-parser'

const tap = fileURLToPath(new URL('../../node_modules/.bin/tap', import.meta.url))
const output = '.tap/results.tap'
const BAIL_OUT = 'Bail out!'
const summary = '.tap/report/coverage-summary.json'

// Ahead of tap's own loaders, which are told of what this one has loaded.
const loader = new URL('load-typescript.js', import.meta.url).href
const env = { ...process.env, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${loader}` }

rmSync(summary, { force: true })
const args = ['--coverage-report=text', '--coverage-report=json-summary', ...process.argv.slice(2)]
const { code, signal, results } = await run()
if (code !== 0) {
  const failures = [...failedTests(results), ...uncoveredFiles(read(summary))]
  if (failures.length === 0) failures.push(`tap, with ${signal ?? `exit code ${code}`}`)
  console.log(['Failed:', ...failures].join('\n  '))
}
process.exitCode = code ?? 1

async function run () {
  // On a terminal tap prints something else than its results. With --output-file it prints them twice elsewhere.
  if (process.stdout.isTTY) {
    mkdirSync('.tap', { recursive: true })
    const [code, signal] = await once(spawn(tap, [`--output-file=${output}`, ...args], { stdio: 'inherit', env }), 'close')
    return { code, signal, results: read(output) }
  }
  const child = spawn(tap, args, { stdio: ['inherit', 'pipe', 'inherit'], env })
  const chunks = []
  child.stdout.on('data', (chunk) => { chunks.push(chunk); process.stdout.write(chunk) })
  const [code, signal] = await once(child, 'close')
  return { code, signal, results: Buffer.concat(chunks).toString() }
}

function read (file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** The names of the assertions that failed, and of the tests and files that failed without one, each after what it is in. */
function failedTests (text) {
  const failures = []
  const files = new Set()
  collect(new Parser().on('child', ({ name }) => files.add(name)), [], failures).end(text)
  // After a file that took too long, tap leaves out as many of the last ones.
  const isWhole = failures.length === 0 || failures.some(([first]) => first.startsWith(BAIL_OUT))
  const lost = isWhole ? [] : allFiles().filter((file) => !files.has(file)).map((file) => [file, 'no result'])
  return [...failures, ...lost].map((path) => path.join(' > '))
}

function allFiles () {
  return spawnSync(tap, ['list', ...args], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean)
}

function collect (parser, path, failures) {
  parser.on('child', (child) => collect(child, [...path, child.name], failures))
  parser.on('assert', ({ ok, todo, skip, name, diag }) => {
    if (ok || todo || skip) return
    // A file that took too long has no name here.
    const names = path.length === 0 && diag?.expired ? [diag.expired, name] : [...path, name]
    const isExplained = failures.some((failure) => names.every((part, i) => failure[i] === part))
    if (!isExplained) failures.push(names.concat(reasonOf(diag ?? {})))
  })
  parser.on('bailout', (reason) => { if (path.length === 0) failures.push([`${BAIL_OUT} ${reason}`]) })
  return parser
}

function reasonOf ({ expired, signal, exitCode }) {
  // Its name says it already. Which of tap's processes sees it first, and says how the other one was told, is not the same in every run.
  if (expired) return []
  if (signal) return [String(signal)]
  return exitCode ? [`exit code ${exitCode}`] : []
}

function uncoveredFiles (text) {
  if (text === '') return []
  const { total, ...files } = JSON.parse(text)
  return Object.entries(files).flatMap(([file, counts]) => {
    const missing = Object.entries(counts).filter(([, { pct }]) => pct < 100).map(([what, { pct }]) => `${what} ${pct} %`)
    return missing.length === 0 ? [] : [`coverage of ${relative('', file)}: ${missing.join(', ')}`]
  })
}
