// A handshake behind requests that are still being answered waits for its turn: by events, within the limits, and within its time.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import type { WebSocketPluginOptions } from '../../index.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { connect, connectRefused } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { handshake, RawClient } from '../support/raw.ts'

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

interface Started extends TestApp {
  release (): void
  /** A client whose handshake waits. */
  wait (path?: string): Promise<RawClient>
}

async function start (t: Test, plugin: WebSocketPluginOptions = {}): Promise<Started> {
  const held = deferred()
  const started = await startApp(t, (app) => {
    app.get('/slow', async () => { await held.promise; return 'slow answer' })
    app.websocketRoute('/', { onConnection () {} })
  }, { plugin })
  const count = (): number => {
    const { pending, refused, accepted } = started.app.websockets.stats
    return pending + accepted + (refused[503] ?? 0)
  }
  return {
    ...started,
    release: held.resolve,
    async wait (path = '/') {
      const client = await RawClient.connect(t, started.port)
      client.socket.on('end', () => client.socket.end())
      const before = count()
      client.write(get('/slow') + handshake(path))
      await eventually(() => count() > before)
      return client
    }
  }
}

t.test('it waits without a timer', async (t) => {
  const { wait, release } = await start(t, { handshakeTimeout: false })
  const countTimers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const clients = [await wait()]
  const before = countTimers()
  for (let i = 0; i < 20; i++) clients.push(await wait())
  t.ok(countTimers() - before < 5)
  release()
  for (const client of clients) await client.until((bytes) => bytes.includes('slow answerHTTP/1.1 101'))
})

t.test('it counts for maxPendingHandshakes while it waits', async (t) => {
  const { app, port, wait, release } = await start(t, { maxPendingHandshakes: 2 })
  const clients = [await wait(), await wait()]
  const { status, headers, body } = await connectRefused(t, `ws://127.0.0.1:${port}/`)
  t.match([status, headers['retry-after'], body], [503, '5', /FST_ERR_WS_MAX_PENDING_HANDSHAKES/])
  const third = await wait()
  t.match(app.websockets.stats, { pending: 2, refused: { 503: 2 } })
  t.equal(third.received.length, 0, 'its answer waits for the one before')
  release()
  t.match((await third.untilEnd()).toString(), /slow answerHTTP\/1\.1 503 [^]*retry-after: 5/i)
  for (const client of clients) await client.until((bytes) => bytes.includes('slow answerHTTP/1.1 101'))
  await connect(t, `ws://127.0.0.1:${port}/`)
  t.match(app.websockets.stats, { pending: 0, accepted: 3 })
})

t.test('it is refused when its time is over, and told so in its turn', async (t) => {
  const { app, port, wait, release } = await start(t, { handshakeTimeout: 30, maxPendingHandshakes: 1 })
  const client = await wait()
  await eventually(() => app.websockets.stats.refused[503] === 1)
  await connect(t, `ws://127.0.0.1:${port}/`)
  t.equal(client.received.length, 0)
  release()
  t.match((await client.untilEnd()).toString(), /slow answerHTTP\/1\.1 503 [^]*retry-after: 5/i)
  t.match(app.websockets.stats, { pending: 0, accepted: 1, aborted: 0 })
})

t.test('a client that resets while it waits is noticed, and so it is by the request before', async (t) => {
  const reached = deferred<AbortSignal>()
  const aborted: string[] = []
  const { app, port } = await startApp(t, (app) => {
    app.addHook('onRequestAbort', async ({ url }) => { aborted.push(url) })
    app.get('/quick', async () => 'quick answer')
    app.get('/never', (request) => { reached.resolve(request.signal); return new Promise(() => {}) })
    app.websocketRoute('/', { onHandshake () { t.fail('ran') } })
  }, { plugin: { maxPendingHandshakes: 1 } })
  const client = await RawClient.connect(t, port)
  client.write(get('/quick') + get('/never') + handshake('/'))
  const signal = await reached.promise
  await eventually(() => app.websockets.stats.pending === 1)
  client.socket.resetAndDestroy()
  await eventually(() => app.websockets.stats.aborted === 1)
  t.equal(signal.aborted, true)
  t.same(aborted, ['/never'])
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/none`)).status, 404)
})

t.test('what nobody has told of is waited for as well', async (t) => {
  const release = deferred()
  const { app } = await startApp(t, (app) => {
    app.websocketRoute('/', { onConnection (conn) { conn.send('open') } })
  })
  const second = createServer((_request, response) => { void release.promise.then(() => response.end('not noted')) })
  second.on('upgrade', (...args) => app.server.emit('upgrade', ...args))
  await once(second.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => { second.closeAllConnections(); second.close() })
  const { port } = second.address() as AddressInfo
  const [client, leaving] = [await RawClient.connect(t, port), await RawClient.connect(t, port)]
  for (const { socket } of [client, leaving]) socket.write(get('/') + handshake('/'))
  await eventually(() => app.websockets.stats.pending === 2)
  leaving.socket.resetAndDestroy()
  await eventually(() => app.websockets.stats.aborted === 1)
  release.resolve()
  t.match((await client.until((bytes) => bytes.toString().endsWith('open'))).toString('latin1'), /not notedHTTP\/1\.1 101/)
})

t.test('a request for another protocol that waits is read, and loses nothing of what has come', async (t) => {
  const release = deferred()
  const { port } = await startApp(t, (app) => {
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    app.get('/slow', async () => { await release.promise; return 'slow answer' })
    app.post('/', async (request) => `body of ${(request.body as Buffer).length}`)
    app.websocketRoute('/', { onConnection () {} })
  })
  const size = 300_000 // more than is read in advance
  const client = await RawClient.connect(t, port)
  client.write(get('/slow') + `POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\nContent-Type: x/y\r\nContent-Length: ${size}\r\n\r\n`)
  client.write(Buffer.alloc(size))
  await fetch(`http://127.0.0.1:${port}/none`)
  release.resolve()
  t.match((await client.until((bytes) => bytes.includes('body of'))).toString(), `body of ${size}`)
})
