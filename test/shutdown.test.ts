// fastify.close() resolves, whatever the upgraded sockets do.
import { type EventEmitter, once } from 'node:events'
import t, { type Test } from 'tap'
import { attachToServers } from '../lib/upgrade.ts'
import { startApp, type TestApp } from './support/app.ts'
import { closed, connect, connectRefused } from './support/client.ts'
import { deferred } from './support/deferred.ts'
import { eventually } from './support/eventually.ts'
import { field, handshake, parseHead, RawClient } from './support/raw.ts'

async function start (t: Test, routeOptions: object = {}, closeTimeout = 5_000): Promise<TestApp & { url: string }> {
  const started = await startApp(t, (app) => {
    app.websocketRoute('/', { onConnection () {}, ...routeOptions })
  }, { plugin: { closeTimeout } })
  return { ...started, url: `ws://127.0.0.1:${started.port}/` }
}

t.test('closes every connection with 1001', async (t) => {
  const { app, url } = await start(t)
  const sockets = await Promise.all([connect(t, url), connect(t, url), connect(t, url)])
  const codes = Promise.all(sockets.map(({ socket }) => closed(socket)))
  await app.close()
  t.same(await codes, [1001, 1001, 1001])
})

t.test('closes a connection that is still held by onConnection', async (t) => {
  const opened = deferred()
  const hour = 3_600_000 // what is not read would be waited for
  const { app, url } = await start(t, { onConnection (conn: EventEmitter) { opened.resolve(); return once(conn, 'close') } }, hour)
  const { socket } = await connect(t, url)
  await opened.promise
  const code = closed(socket)
  await app.close()
  t.equal(await code, 1001)
})

t.test('terminates peers that do not answer, and stuck refusals, after closeTimeout', async (t) => {
  const { app, port } = await start(t, {
    closeTimeout: 3_600_000, // the route's, for connections that close one by one
    onHandshake (conn: { reject (options: object): void }, request: { url: string }) {
      if (request.url === '/?refused') conn.reject({ body: Buffer.alloc(64 * 1024 * 1024) })
    }
  }, 100)
  const silent = await RawClient.connect(t, port)
  silent.write(handshake('/'))
  await silent.head()
  const stuck = await RawClient.connect(t, port)
  stuck.write(handshake('/?refused'))
  await stuck.head()
  stuck.socket.pause()
  await app.close()
  const { pending, open } = attachToServers(app, [])
  t.same([pending.size, open.size], [0, 0])
})

t.test('answers pending and new handshakes with 503', async (t) => {
  const reached = deferred()
  const release = deferred()
  const { app, port, url } = await start(t, {
    async onHandshake (conn: { acceptWith (): void }) {
      reached.resolve()
      await release.promise
      t.doesNotThrow(() => conn.acceptWith(), 'a no-op')
    },
    onConnection () { t.fail('opened') }
  })
  const late = await RawClient.connect(t, port)
  const waiting = connectRefused(t, url)
  await reached.promise
  const isClosed = app.close()
  const { status, body, headers } = await waiting
  t.equal(status, 503)
  t.equal(headers.connection, 'close')
  t.match(JSON.parse(body), { statusCode: 503, error: 'Service Unavailable' })
  late.write(handshake('/'))
  const answer = parseHead(await late.untilEnd())
  // Fastify closes idle sockets at once; one that it had not seen yet is answered.
  if (late.received.length > 0) t.match([answer.status, field(answer, 'connection')], [503, 'close'])
  release.resolve()
  await isClosed
})

t.test('refuses new handshakes even where Fastify would go on to answer while it closes', async (t) => {
  const closing = deferred()
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onConnection () {} })
    app.get('/slow', async () => { await closing.promise; return 'done' })
  }, { server: { return503OnClosing: false } })
  const client = await RawClient.connect(t, port)
  const seen = once(app.server, 'request')
  client.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
  await seen
  const isClosed = app.close()
  client.write(handshake('/'))
  await eventually(() => app.websockets.stats.pending === 1)
  closing.resolve()
  const text = (await client.untilEnd()).toString()
  t.match(text, /200 OK[^]*doneHTTP\/1\.1 503/)
  await isClosed
})

t.test('can be called twice, from a callback, and with nothing open', async (t) => {
  const { app, url } = await start(t, { onConnection (this: { close (): Promise<void> }) { void this.close() } })
  const { socket } = await connect(t, url)
  t.equal(await closed(socket), 1001)
  await Promise.all([app.close(), app.close()])
  await (await start(t)).app.close()
})

t.test('works before listen, and for two children', async () => {
  const { default: Fastify } = await import('fastify')
  const { default: websocket } = await import('../index.ts')
  const app = Fastify()
  for (const prefix of ['/a', '/b']) {
    await app.register(async (child) => { await child.register(websocket); child.websocketRoute('/', { onConnection () {} }) }, { prefix })
  }
  await app.close()
})
