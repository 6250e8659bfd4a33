// What README.md and docs/ promise: snippets compile, links lead somewhere, errors and defaults are the code's.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import t from 'tap'
import ts from 'typescript'
import { errors } from '../../index.ts'
import { readPluginOptions } from '../../lib/options/options.ts'

t.setTimeout(300_000)

const root = fileURLToPath(new URL('../..', import.meta.url))
const files = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'examples/chat/README.md', 'examples/chat/cluster.md', ...readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)]
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

// What a snippet may use without saying where it comes from, unless it declares it itself.
const AMBIENT: Record<string, string> = {
  app: "declare const app: import('fastify').FastifyInstance<import('node:http').Server, import('node:http').IncomingMessage, import('node:http').ServerResponse, import('fastify').FastifyBaseLogger, import('@fastify/type-provider-typebox').TypeBoxTypeProvider>",
  Type: "import { Type } from 'typebox'",
  FastifyError: "import type { FastifyError } from 'fastify'",
  authenticate: 'declare function authenticate (token: string, options: { signal: AbortSignal }): Promise<{ session: string } | null>'
}

// A file of the repository, by its address there.
const IN_REPOSITORY = /(https:\/\/github\.com\/fastify-websocket-route\/fastify-websocket-route\/blob\/HEAD\/([^#)\s]+)(?:#([^)\s]+))?)/g

interface Snippet { file: string, line: number, code: string }

function snippetsOf (file: string): Snippet[] {
  return [...read(file).matchAll(/^```ts\n([^]*?)^```/gm)].map((match) => ({
    file, line: read(file).slice(0, match.index).split('\n').length + 1, code: match[1] ?? ''
  }))
}

function withAmbient (code: string): string {
  const missing = Object.entries(AMBIENT).filter(([name]) => {
    return new RegExp(`\\b${name}\\b`).test(code) && !new RegExp(`(const|function) ${name}\\b|import [^\\n]*\\b${name}\\b`).test(code)
  })
  // In one line, so that the lines of an error are the snippet's.
  return `${missing.map(([, declaration]) => declaration).join('; ')}; import 'fastify-websocket-route'; ${code}\nexport {}\n`
}

t.test('every snippet compiles', async (t) => {
  t.setTimeout(240_000) // a compiler, under a coverage profiler
  const snippets = files.flatMap(snippetsOf)
  t.ok(snippets.length > 10, 'the snippets were found')
  const folder = join(root, 'test', 'snippets')
  const sources = new Map(snippets.map((snippet, i) => [join(folder, `snippet-${i}.ts`), snippet]))
  const { options } = ts.convertCompilerOptionsFromJson({
    ...JSON.parse(read('tsconfig.json')).compilerOptions,
    rootDir: '.',
    noEmit: true,
    skipLibCheck: true,
    declaration: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
    paths: { 'fastify-websocket-route': ['./index.ts'] }
  }, root)
  const host = ts.createCompilerHost(options)
  const { readFile, fileExists, getSourceFile } = host
  const textOf = (path: string): string | undefined => {
    const snippet = sources.get(path)
    return snippet === undefined ? undefined : withAmbient(snippet.code)
  }
  host.readFile = (path) => textOf(path) ?? readFile.call(host, path)
  host.fileExists = (path) => sources.has(path) || fileExists.call(host, path)
  host.getSourceFile = (path, version) => {
    const text = textOf(path)
    return text === undefined ? getSourceFile.call(host, path, version) : ts.createSourceFile(path, text, version)
  }
  const program = ts.createProgram([...sources.keys()], options, host)
  for (const [path, snippet] of sources) {
    const source = program.getSourceFile(path)
    const problems = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(({ messageText, start = 0 }) => {
      const line = snippet.line + (source?.getLineAndCharacterOfPosition(start).line ?? 0)
      return `${snippet.file}:${line} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
    })
    t.same(problems, [], `${snippet.file}:${snippet.line}`)
  }
})

t.test('the documented errors are those of the code', async (t) => {
  const documented = [...read('docs/errors.md').matchAll(/^### (FST_ERR_WS_\w+)\n\n- Status: (\d+)\n- Message: `(.*)`\n- When: .+\n- What to do: .+$/gm)]
    .map(([, code, status, message]) => ({ code, statusCode: Number(status), message }))
  const actual = Object.values(errors).map((create) => {
    const { code, statusCode, message } = create()
    return { code, statusCode, message }
  })
  const byCode = (a: { code?: string | undefined }, b: { code?: string | undefined }): number => String(a.code).localeCompare(String(b.code))
  t.same(documented.sort(byCode), actual.sort(byCode))
  for (const [name, create] of Object.entries(errors)) t.equal(create().code, name)
  t.equal(read('docs/errors.md').split('\n### ').length - 1, documented.length, 'none is written differently')
})

t.test('the documented defaults are those of the code', async (t) => {
  const defaults = readPluginOptions({}, 1_048_576) as unknown as Record<string, unknown>
  for (const file of ['README.md', 'docs/api.md']) {
    for (const [name, value] of Object.entries(defaults)) {
      const row = read(file).split('\n').find((line) => line.startsWith(`| \`${name}\` |`)) ?? ''
      // One that is null follows from another option.
      t.ok(value === null ? row.includes('`maxPayload`') : row.includes(`\`${inspect(value)}\``), `${file}: ${name} is ${inspect(value)}`)
    }
  }
})

t.test('every link leads somewhere', async (t) => {
  for (const file of files) {
    for (const [, target = ''] of read(file).matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const [path = '', anchor] = target.split('#')
      const linked = path === '' ? file : relative(root, join(root, dirname(file), path))
      // The package has no more of the repository than README.md and CHANGELOG.md beside docs/.
      if (file.startsWith('docs/')) t.match(linked, /^docs\/|^(README|CHANGELOG)\.md$/, `${file}: ${target} is in the package`)
      t.ok(existsSync(join(root, linked)), `${file}: ${target}`)
      if (anchor !== undefined) t.ok(anchorsOf(linked).includes(anchor), `${file}: ${target}`)
    }
    for (const [, target = '', path = '', anchor] of read(file).matchAll(IN_REPOSITORY)) {
      t.ok(existsSync(join(root, path)), `${file}: ${target}`)
      if (anchor !== undefined) t.ok(anchorsOf(path).includes(anchor), `${file}: ${target}`)
    }
  }
})

// As GitHub makes them.
function anchorsOf (file: string): string[] {
  return [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title.toLowerCase().replaceAll(/[^\w\- ]/g, '').replaceAll(' ', '-'))
}
