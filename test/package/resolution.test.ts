// The table of docs/installation.md: a project in TypeScript compiles with what a tarball has installed. Needs the build and the registry.
import { mkdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { install, type Project } from '../support/packed.ts'
import { runNode } from '../support/plain-process.ts'

t.setTimeout(240_000) // a dozen compilers, two at once

const root = fileURLToPath(new URL('../..', import.meta.url))

const source = `
  const options: WebSocketPluginOptions = { maxPayload: 1024 }
  const app = Fastify()
  app.register(websocket, options)
  app.after(() => {
    app.websocketRoute('/', {
      protocols: ['a', 'b'],
      onHandshake (conn, request) {
        // @ts-expect-error a subprotocol that the route does not have
        if (request.url === '/c') conn.acceptWith({ protocol: 'c' })
        if (request.url === '/b') conn.acceptWith({ protocol: 'b' })
      },
      async onConnection (conn) {
        greet(conn)
        for await (const message of conn) {
          // @ts-expect-error text or binary
          const number: number = message
          conn.sendMessage(number)
        }
      },
      onClose (conn, close) { conn.log.info(close.code.toFixed()) }
    })
  })
  function greet (conn: WebSocketConnection): void { conn.send(String(conn.id)) }
  app.ready().then(() => { console.log(app.websockets.size, errors.FST_ERR_WS_CLOSED().code) })
`
const imports = `
  import Fastify from 'fastify'
  import websocket, { errors, type WebSocketConnection, type WebSocketPluginOptions } from 'fastify-websocket-route'
`
const requires = `
  import Fastify = require('fastify')
  import plugin = require('fastify-websocket-route')
  const { default: websocket, errors } = plugin
  type WebSocketConnection = plugin.WebSocketConnection
  type WebSocketPluginOptions = plugin.WebSocketPluginOptions
`
const FILES = { 'esm.mts': imports + source, 'imports.cts': imports + source, 'requires.cts': requires + source }

// The module that goes with each resolution.
const MODULES = { node10: 'commonjs', node16: 'node16', nodenext: 'nodenext', bundler: 'preserve' }
type Resolution = keyof typeof MODULES

// Declarations, which are the same files in all cells, are checked by the oldest and by the newest.
const OTHER_OPTIONS: Record<string, object> = {
  '5.6 nodenext': { skipLibCheck: false },
  '6.0 node10': { ignoreDeprecations: '6.0' },
  '7.0 nodenext': { skipLibCheck: false }
}

const COMPILERS: Record<string, string> = {
  5.6: 'node_modules/typescript-5.6/lib/tsc.js',
  5.9: 'node_modules/typescript-5.9/lib/tsc.js',
  '6.0': `${root}node_modules/typescript/lib/tsc.js`,
  '7.0': `${root}node_modules/@typescript/native/lib/tsc.js`
}

// What a cell of the table says, and the errors that there are then.
const ERRORS: Record<string, string[]> = {
  both: [],
  'ES modules': ['imports.cts TS1479', 'requires.cts TS1471'],
  'does not exist': ['tsconfig.json TS5108']
}

interface Cell { version: string, resolution: Resolution, says: string }

function table (): Cell[] {
  const text = readFileSync(`${root}docs/installation.md`, 'utf8')
  const [heading = '', , ...rows] = /^\| TypeScript \|[^]*?(?=\n\n)/m.exec(text)?.[0].split('\n') ?? []
  const cells = (row: string): string[] => row.split('|').slice(1, -1).map((cell) => cell.trim().replaceAll('`', ''))
  const [, ...resolutions] = cells(heading)
  return rows.flatMap((row) => {
    const [version = '', ...says] = cells(row)
    return says.map((said, i) => ({ version, resolution: resolutions[i] as Resolution, says: said }))
  })
}

let count = 0

/** The errors of a program with these options in a folder of its own: the file's name and the code. Those of other packages are theirs. */
async function compile (project: Project, version: string, compilerOptions: object): Promise<{ folder: string, errors: string[] }> {
  const folder = `cell-${++count}`
  mkdirSync(`${project.folder}/${folder}`)
  const options = { strict: true, esModuleInterop: true, target: 'es2022', lib: ['es2022'], types: ['node'], skipLibCheck: true, rootDir: '.', outDir: 'out', ...compilerOptions }
  project.write({ [`${folder}/tsconfig.json`]: JSON.stringify({ compilerOptions: options, include: ['*'] }) })
  for (const [name, text] of Object.entries(FILES)) project.write({ [`${folder}/${name}`]: text })
  const { output } = await runNode(project.folder, [COMPILERS[version] ?? '', '-p', folder])
  const found = output.matchAll(/^(?<file>\S+)\(\d+,\d+\): error (?<code>TS\d+)/gm)
  const errors = [...found].map(({ groups: { file = '', code = '' } = {} }) => `${file.replace(/^.*cell-\d+\//, '')} ${code}`)
    .filter((error) => !error.includes('node_modules/') || error.includes('fastify-websocket-route'))
  return { folder, errors }
}

t.test('compiles, with each version of TypeScript and each resolution, as the table says', async (t) => {
  const project = await install(t, '@types/node@20', 'typescript-5.6@npm:typescript@~5.6', 'typescript-5.9@npm:typescript@~5.9')
  const cells = table()
  t.same(cells.map(({ version, resolution }) => `${version} ${resolution}`), Object.keys(COMPILERS).flatMap((version) => Object.keys(MODULES).map((resolution) => `${version} ${resolution}`)))
  const worker = async (): Promise<void> => {
    for (let cell = cells.shift(); cell !== undefined; cell = cells.shift()) {
      const { version, resolution, says } = cell
      const { errors } = await compile(project, version, { noEmit: true, moduleResolution: resolution, module: MODULES[resolution], ...OTHER_OPTIONS[`${version} ${resolution}`] })
      t.same(errors, ERRORS[says], `TypeScript ${version}, ${resolution}: ${says}`)
    }
  }
  await Promise.all([worker(), worker()])

  await t.test('with the module node20 CommonJS compiles too, and what is written runs', async (t) => {
    const { folder, errors } = await compile(project, '7.0', { module: 'node20' })
    t.same(errors, [])
    for (const file of ['esm.mjs', 'imports.cjs', 'requires.cjs']) {
      t.same(await runNode(project.folder, [`${folder}/out/${file}`]), { code: 0, output: '0 FST_ERR_WS_CLOSED\n' }, file)
    }
  })
})
