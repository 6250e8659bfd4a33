// fastify.close() resolves, whatever the upgraded sockets do.
import { type EventEmitter, once } from 'node:events'
import t, { type Test } from 'tap'
import { Connections } from '../../lib/server/connections.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { closed, connect, connectRefused } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { field, handshake, parseHead, RawClient, textFrame } from '../support/raw.ts'

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
  const { pending, open } = Connections.of(app)
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
  late.socket.on('end', () => late.socket.end())
  const waiting = connectRefused(t, url)
  await reached.promise
  const isClosed = app.close()
  const { status, body, headers } = await waiting
  t.equal(status, 503)
  t.equal(headers.connection, 'close')
  t.equal(headers['retry-after'], '5')
  t.match(JSON.parse(body), { statusCode: 503, error: 'Service Unavailable' })
  late.write(handshake('/'))
  const answer = parseHead(await late.untilEnd())
  // Fastify closes idle sockets at once; one that it had not seen yet is answered.
  if (late.received.length > 0) t.match([answer.status, field(answer, 'connection'), field(answer, 'retry-after')], [503, 'close', '5'])
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
  client.socket.on('end', () => client.socket.end())
  const seen = once(app.server, 'request')
  client.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
  await seen
  const isClosed = app.close()
  client.write(handshake('/'))
  await eventually(() => app.websockets.stats.pending === 1)
  closing.resolve()
  const text = (await client.untilEnd()).toString()
  t.match(text, /200 OK[^]*doneHTTP\/1\.1 503[^]*FST_ERR_WS_CLOSING/)
  t.match(text, /retry-after: 5/)
  await isClosed
})

t.test('says why, closes 1000 peers that answer long before closeTimeout, and finishes running requests', async (t) => {
  const hour = 3_600_000
  const release = deferred()
  const { app, port, url } = await startApp(t, (app) => {
    app.websocketRoute('/', { onConnection () {} })
    app.get('/slow', async () => { await release.promise; return 'done' })
  }, { plugin: { closeTimeout: hour } }).then((started) => ({ ...started, url: `ws://127.0.0.1:${started.port}/` }))
  const closes: Array<Promise<unknown[]>> = []
  for (let i = 0; i < 1000; i++) closes.push(once((await connect(t, url)).socket, 'close'))
  const seen = once(app.server, 'request')
  const slow = await RawClient.connect(t, port)
  slow.write('GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await seen
  const start = performance.now()
  const isClosed = app.close()
  const ends = await Promise.all(closes)
  t.comment(`1000 connections closed in ${Math.round(performance.now() - start)} ms`)
  t.same([...new Set(ends.map(([code, reason]) => `${String(code)} ${String(reason)}`))], ['1001 The server is closing'])
  await eventually(() => app.websockets.size === 0)
  t.same(app.websockets.stats.closed, { 1001: 1000 })
  release.resolve()
  t.match(await slow.wholeResponse(), { status: 200, body: 'done' })
  await isClosed
})

t.test('is over within closeTimeout and a second, however the peers behave', async (t) => {
  const cases: Record<string, { options?: object, path?: string, prepare: (client: RawClient) => unknown }> = {
    'open, and silent': { prepare: async (client) => await client.head() },
    'undecided, and keeping their side': { options: { onHandshake: () => new Promise(() => {}) }, prepare () {} },
    'refused before, and keeping their side': { options: { onHandshake (conn: { reject (): void }) { conn.reject() } }, prepare: async (client) => await client.untilEnd() },
    'open, and reading nothing': {
      options: { onConnection (conn: { send (data: Buffer): void }) { for (let i = 0; i < 3; i++) conn.send(Buffer.alloc(1024 * 1024)) } },
      prepare: async (client) => { await client.head(); client.socket.pause() }
    }
  }
  for (const [name, { options, prepare }] of Object.entries(cases)) {
    const { app, port } = await start(t, options, 100)
    for (let i = 0; i < 20; i++) {
      const client = await RawClient.connect(t, port)
      client.write(handshake('/'))
      await prepare(client)
    }
    await eventually(() => app.websockets.stats.pending + app.websockets.stats.accepted + (app.websockets.stats.refused[403] ?? 0) === 20)
    // A clock that stands still while the process has to wait for its turn.
    let took = 0
    const clock = setInterval(() => { took += 10 }, 10)
    await app.close()
    clearInterval(clock)
    t.ok(took < 1_100, `${name}: ${took} ms`)
    t.equal(Connections.of(app).pending.size, 0)
  }
})

t.test('a running request is finished, however long it takes, also when a handshake is pipelined behind it', async (t) => {
  const release = deferred()
  const over = deferred()
  const { app, port } = await startApp(t, (app) => {
    app.addHook('preClose', async () => { over.resolve() }) // runs after that of the plugin
    app.get('/slow', async () => { await release.promise; return 'done' })
    app.websocketRoute('/', { onHandshake () { t.fail('ran') } })
  }, { plugin: { closeTimeout: 20 } })
  const client = await RawClient.connect(t, port)
  client.socket.on('end', () => client.socket.end())
  const seen = once(app.server, 'request')
  client.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n' + handshake('/'))
  await seen
  await eventually(() => app.websockets.stats.pending === 1)
  const isClosed = app.close()
  await over.promise
  release.resolve()
  t.match((await client.untilEnd()).toString(), /^HTTP\/1\.1 200 OK[^]*doneHTTP\/1\.1 503 [^]*retry-after: 5/i)
  await isClosed
  t.match(app.websockets.stats, { pending: 0, refused: { 503: 1 }, aborted: 0 })
})

t.test('ends 200 peers of which none answers', async (t) => {
  const { app, port } = await start(t, { closeTimeout: 3_600_000 }, 100)
  const clients = []
  for (let i = 0; i < 200; i++) {
    const client = await RawClient.connect(t, port)
    client.write(handshake('/'))
    await client.head()
    clients.push(client)
  }
  const begin = performance.now()
  await app.close()
  t.comment(`closed in ${Math.round(performance.now() - begin)} ms`)
  for (const client of clients) {
    t.equal((await client.untilClose()).code, 1001)
    await client.untilEnd()
  }
})

t.test('waits for onClose as long as closeTimeout', async (t) => {
  const release = deferred()
  let hasSettled = false
  const { app, url } = await start(t, {
    async onClose () {
      await release.promise
      hasSettled = true
    }
  }, 3_600_000)
  const { socket } = await connect(t, url)
  const code = closed(socket)
  const isClosed = app.close()
  await code
  await eventually(() => app.websockets.size === 0)
  void isClosed.then(() => { t.ok(hasSettled, 'closed after onClose') })
  await new Promise((resolve) => setTimeout(resolve, 50))
  release.resolve()
  await isClosed
  const hangs = await start(t, { onClose: () => new Promise(() => {}) }, 20)
  await connect(t, hangs.url)
  await hangs.app.close()
})

t.test('can be called twice, and with nothing open', async (t) => {
  const { app, url } = await start(t)
  const { socket } = await connect(t, url)
  const code = closed(socket)
  await Promise.all([app.close(), app.close()])
  t.equal(await code, 1001)
  await app.close()
  await (await start(t)).app.close()
})

// Each callback calls fastify.close(), once without waiting for it and once with its promise as the result.
const callbacks: Record<string, (close: () => unknown) => object> = {
  onHandshake: (close) => ({ onHandshake: () => close() }),
  'onHandshake after acceptWith': (close) => ({ onHandshake (conn: { acceptWith (): void }) { conn.acceptWith(); return close() } }),
  onConnection: (close) => ({ onConnection: () => close() }),
  onMessage: (close) => ({ onMessage: () => close() }),
  onClose: (close) => ({ onMessage (conn: { close (): void }) { conn.close() }, onClose: () => close() }),
  onError: (close) => ({ onMessage () { throw new Error('no') }, onError: () => close() }),
  "a listener for 'message'": (close) => ({ onConnection (conn: EventEmitter) { conn.on('message', () => { void close() }) } }),
  "a listener for 'close'": (close) => ({ onMessage (conn: EventEmitter & { close (): void }) { conn.on('close', () => { void close() }); conn.close() } }),
  onRequest: (close) => ({ onRequest: async () => { await close() } }),
  onSend: (close) => ({ onSend: async () => { await close() } }),
  onResponse: (close) => ({ onResponse: async () => { await close() } }),
  origin: (close) => ({ origin: () => { void close(); return true } }),
  keyGenerator: (close) => ({ maxConnectionsPerKey: 5, keyGenerator: () => { void close(); return 'key' } })
}
for (const [name, options] of Object.entries(callbacks)) {
  for (const isAwaited of [false, true]) {
    t.test(`can be called from ${name}${isAwaited ? ', which waits for it' : ''}`, async (t) => {
      const isClosing = deferred<Promise<undefined>>()
      const { app, port } = await start(t, options(() => {
        const closing = app.close()
        isClosing.resolve(closing)
        return isAwaited ? closing : undefined
      }), 50)
      const client = await RawClient.connect(t, port)
      client.socket.on('end', () => client.socket.end())
      client.write(handshake('/', { Origin: 'http://server.example.com' }))
      client.write(textFrame('hello'))
      void isClosing.promise.then(async () => { await client.untilEnd() })
      const closing = await isClosing.promise
      await closing
      const { pending, open } = Connections.of(app)
      t.same([pending.size, open.size], [0, 0])
      await client.untilEnd()
    })
  }
}

t.test('leaves no handshake of a burst without an end', async (t) => {
  let reached = 0
  const { app, port } = await start(t, {
    async onHandshake () {
      if (++reached === 100) void app.close()
      await null
    }
  }, 100)
  const statuses = await Promise.all(Array.from({ length: 300 }, async () => {
    const client = await RawClient.connect(t, port)
    client.socket.on('end', () => client.socket.end())
    client.write(handshake('/'))
    const received = await client.untilEnd()
    if (received.length === 0) return 'cut' // by Fastify, which had not seen a request on it
    const { status } = parseHead(received)
    return status === 101 ? (await client.untilClose()).code : status
  }))
  await app.close()
  const counts = Object.fromEntries([...new Set(statuses)].map((status) => [status, statuses.filter((other) => other === status).length]))
  t.comment(JSON.stringify(counts))
  t.ok((counts[1001] ?? 0) >= 99, 'those that were accepted before')
  t.same(Object.keys(counts).filter((status) => !['1001', '503', 'cut'].includes(status)), [])
  t.match(app.websockets.stats, { open: 0, pending: 0 })
})

t.test('works before listen, and for two children', async () => {
  const { default: Fastify } = await import('fastify')
  const { default: websocket } = await import('../../index.ts')
  const app = Fastify()
  for (const prefix of ['/a', '/b']) {
    await app.register(async (child) => { await child.register(websocket); child.websocketRoute('/', { onConnection () {} }) }, { prefix })
  }
  await app.close()
})
