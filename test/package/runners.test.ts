// Jest, vitest and esbuild with what docs/installation.md says, on an app that has installed the tarball. Needs the build and the registry.
import { mkdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { install, type Project } from '../support/packed.ts'
import { runNode } from '../support/plain-process.ts'

t.setTimeout(240_000) // some hundred packages

const text = readFileSync(fileURLToPath(new URL('../../docs/installation.md', import.meta.url)), 'utf8')

/** The snippet that begins with this name. */
function snippet (name: string): string {
  const [, found] = text.split(`\`\`\`js\n// ${name}\n`)
  return String(found?.slice(0, found.indexOf('```')))
}

const esm = `
  import Fastify from 'fastify'
  import websocket from 'fastify-websocket-route'
  const app = Fastify()
  await app.register(websocket)
  app.websocketRoute('/echo', { onMessage (conn, message) { conn.sendMessage(message) } })
`
const echo = `
  await app.ready()
  const client = await app.injectWebSocket('/echo')
  client.send('hello')
  const { value } = await client.messages().next()
`

/** The docs' script for a bundle, for another entry, format or with further options. */
const bundler = (entry: string, format: string, more = ''): string => snippet('build.mjs')
  .replace("'app.mjs'", `'${entry}'`).replace("outfile: 'bundle.mjs'", `outfile: 'bundle.${format === 'esm' ? 'mjs' : 'cjs'}'`)
  .replace("format: 'esm'", `format: '${format}'`).replace(/,\n {2}banner: .*/, (banner) => `${format === 'esm' ? banner : ''}${more}`)

async function run (project: Project, name: string, source: string): Promise<string> {
  project.write({ [name]: source })
  const { output } = await runNode(project.folder, [name])
  return output
}

t.test('runs wherever users run it', async (t) => {
  const project = await install(t, 'jest@30', '@babel/plugin-transform-modules-commonjs', 'vitest@4', 'esbuild', '--ignore-scripts')
  const { folder } = project
  for (const name of ['commonjs', 'modules']) mkdirSync(`${folder}/${name}`)
  const testOf = (imports: string): string => `${imports}\ntest('echoes', async () => { ${esm.replaceAll(/import .*/g, '')} ${echo} expect(value).toBe('hello'); await app.close() })`
  const modules = "import Fastify from 'fastify'\nimport websocket from 'fastify-websocket-route'"
  project.write({
    'commonjs/app.js': snippet('app.js'),
    'commonjs/app.test.js': snippet('app.test.js'),
    'commonjs/jest.config.js': snippet('jest.config.js'),
    'modules/package.json': '{ "type": "module" }',
    'modules/jest.test.js': testOf(modules),
    'modules/vitest.spec.js': testOf(`import { expect, test } from 'vitest'\n${modules}`)
  })

  await t.test('in Jest, in CommonJS', async (t) => {
    const { code, output } = await runNode(`${folder}/commonjs`, ['../node_modules/jest/bin/jest.js', '--runInBand'])
    t.match({ code, output }, { code: 0, output: /Tests: +1 passed, 1 total/ })
  })

  await t.test('in Jest, in ES modules', async (t) => {
    const { code, output } = await runNode(`${folder}/modules`, ['--experimental-vm-modules', '../node_modules/jest/bin/jest.js', '--runInBand', '--testPathIgnorePatterns=spec'])
    t.match({ code, output }, { code: 0, output: /Tests: +1 passed, 1 total/ })
  })

  await t.test('in vitest', async (t) => {
    const { code, output } = await runNode(`${folder}/modules`, ['../node_modules/vitest/vitest.mjs', 'run', 'vitest.spec.js'])
    t.match({ code, output }, { code: 0, output: /Tests +1 passed \(1\)/ })
  })

  await t.test('bundled by esbuild', async (t) => {
    project.write({
      'app.mjs': `${esm}${echo}console.log(value)\nawait app.close()\n`,
      'app.cjs': `const build = require('./commonjs/app.js')\n;(async () => { const app = build()\n${echo}console.log(value)\nawait app.close() })()\n`
    })
    for (const more of ['', ', minify: true', ", packages: 'external'"]) {
      for (const [entry, format] of [['app.mjs', 'esm'], ['app.cjs', 'esm'], ['app.cjs', 'cjs']] as const) {
        t.equal(await run(project, 'build.mjs', bundler(entry, format, more)), '', `${entry} as ${format}${more}`)
        const { output } = await runNode(folder, [format === 'esm' ? 'bundle.mjs' : 'bundle.cjs'])
        t.equal(output, 'hello\n', `${entry} as ${format}${more} runs`)
      }
    }
  })
})
