// Which versions of ws and Fastify these tests run with: the installed ones, or those that test/support/test-neighbours.js has
// been asked for.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import Fastify from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import { startApp } from '../support/app.ts'
import { connect } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'

const require = createRequire(import.meta.url)
const installed = { ws: versionAt(require.resolve('ws/package.json')), fastify: versionAt(require.resolve('fastify/package.json')) }
const expected = { ...installed, ...JSON.parse(process.env.NEIGHBOUR_VERSIONS ?? '{}') as Partial<typeof installed> }

function versionAt (file: string | URL): string {
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

t.test('runs with the versions that it should, tests and plugin alike', async (t) => {
  t.comment(`ws ${expected.ws}, fastify ${expected.fastify}`)
  t.equal(versionAt(new URL('package.json', import.meta.resolve('ws'))), expected.ws)
  t.equal(Fastify().version, expected.fastify)
  const opened = deferred<object>()
  const { port } = await startApp(t, (app) => {
    t.equal(app.version, expected.fastify)
    app.websocketRoute('/', { onConnection (conn) { opened.resolve(conn) } })
  })
  await connect(t, `ws://127.0.0.1:${port}/`)
  t.ok(await opened.promise instanceof WebSocket, 'the plugin has the same ws')
})
