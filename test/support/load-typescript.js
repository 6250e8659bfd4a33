// For `node --import`: loads TypeScript as tap's own loader does, but transpiles each file once and not once a process. What came
// out of it is kept in .tap/transpiled, under a hash of all that it depends on.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { register } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'

const folder = new URL('../../.tap/transpiled/', import.meta.url)
const transpiler = [new URL('../../node_modules/typescript/package.json', import.meta.url), new URL(import.meta.url)].map((url) => readFileSync(url, 'utf8'))

export async function load (url, context, nextLoad) {
  if (!/^file:.*\.ts(\?|$)/.test(url)) return nextLoad(url, context)
  const fileName = fileURLToPath(url)
  return { format: 'module', shortCircuit: true, source: await transpiled(fileName, readFileSync(fileName, 'utf8')) }
}

async function transpiled (fileName, source) {
  const hash = createHash('sha256').update(JSON.stringify([...transpiler, fileName, source])).digest('hex')
  const file = new URL(`${hash}.js`, folder)
  try {
    return readFileSync(file, 'utf8')
  } catch {
    const output = await transpile(fileName, source)
    keep(file, output)
    return output
  }
}

async function transpile (fileName, source) {
  const { default: typescript } = await import('typescript')
  const compilerOptions = { target: 'es2023', module: 'esnext', verbatimModuleSyntax: true, inlineSourceMap: true, inlineSources: true }
  return typescript.transpileModule(source, { fileName, compilerOptions }).outputText
}

/** Writes a file that no other process can read half of. */
function keep (file, output) {
  mkdirSync(folder, { recursive: true })
  const unfinished = new URL(`${file.href}.${process.pid}`)
  writeFileSync(unfinished, output)
  renameSync(unfinished, file)
}

if (isMainThread) {
  // tap's loader, which comes later, would take all of it. This is how it is told that TypeScript needs no loader.
  process.env.TAP_TYPE_STRIP_ONLY = '1'
  register(import.meta.url)
}
