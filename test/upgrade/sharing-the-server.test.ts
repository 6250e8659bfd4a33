// Upgrades on a socket that other requests are on, and upgrades that are not ours.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect as connectSocket, type Socket } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { startApp } from '../support/app.ts'
import { connect } from '../support/client.ts'
import { deferred, type Deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { field, handshake, parseHead, RawClient, textFrame } from '../support/raw.ts'

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

t.test('an upgrade that is pipelined behind a request waits for its answer', async (t) => {
  const release = deferred()
  const order: string[] = []
  const { port } = await startApp(t, (app) => {
    app.get('/slow', async () => {
      order.push('slow')
      await release.promise
      return 'slow answer'
    })
    app.get('/quick', async () => 'quick answer')
    app.websocketRoute('/ws', {
      onHandshake () { order.push('handshake') },
      onConnection (conn) { conn.on('message', (data) => conn.send(`echo ${String(data)}`)) }
    })
  })
  const client = await RawClient.connect(t, port)
  client.write(Buffer.concat([Buffer.from(get('/slow') + get('/quick') + handshake('/ws')), textFrame('early')]))
  // Another request shows that the server has had the time to do it wrong.
  await fetch(`http://127.0.0.1:${port}/quick`)
  t.same(order, ['slow'])
  t.equal(client.received.length, 0)
  release.resolve()
  const received = (await client.until((bytes) => bytes.includes('echo early'))).toString('latin1')
  t.same(order, ['slow', 'handshake'])
  t.match(received, /^HTTP\/1\.1 200 OK[^]*slow answerHTTP\/1\.1 200 OK[^]*quick answerHTTP\/1\.1 101 Switching Protocols/)
})

t.test('an upgrade behind a long response gets its turn when all of that is sent', async (t) => {
  const size = 16 * 1024 * 1024
  let long: ServerResponse | undefined
  const { app, port } = await startApp(t, (app) => {
    app.get('/long', (_request, reply) => {
      long = reply.raw
      void reply.send(Readable.from((function * () { for (let i = 0; i < size / 65_536; i++) yield Buffer.alloc(65_536, 'x') })()))
    })
    app.get('/short', async () => 'short answer')
    app.websocketRoute('/ws', { onHandshake (conn) { conn.reject({ code: 418 }) } })
  })
  for (const at of [port, await startForwarding(t, app)]) {
    const client = await RawClient.connect(t, at)
    // The short answer between them waits for the long one, and for nothing else.
    client.write(get('/long') + get('/short') + handshake('/ws'))
    client.socket.pause()
    await eventually(() => long?.writableNeedDrain === true)
    client.socket.resume()
    const text = (await client.untilEnd()).toString('latin1')
    const first = parseHead(Buffer.from(text, 'latin1'))
    t.equal(field(first, 'transfer-encoding'), 'chunked')
    t.equal(text.replaceAll(/[^x]/g, '').length > size - 1, true)
    t.match(text.slice(-1000), /0\r\n\r\nHTTP\/1\.1 200 [^]*short answerHTTP\/1\.1 418/)
  }
})

t.test('a client that leaves while its upgrade waits leaves nothing behind', async (t) => {
  const reached = deferred()
  const { port, app } = await startApp(t, (app) => {
    app.get('/never', () => { reached.resolve(); return new Promise(() => {}) })
    app.websocketRoute('/ws', { onHandshake () { t.fail('ran') } })
  })
  const { Connections } = await import('../../lib/server/connections.ts')
  const connected = once(app.server, 'connection')
  const client = await RawClient.connect(t, port)
  client.write(get('/never') + handshake('/ws'))
  await reached.promise
  const [socket] = await connected as [Socket]
  await eventually(() => app.websockets.stats.pending === 1)
  socket.destroy()
  await eventually(() => app.websockets.stats.aborted === 1)
  t.equal(app.websockets.stats.pending, 0)
  t.equal(Connections.of(app).pending.size, 0)
})

t.test('a client that half-closes while its upgrade waits is gone when its turn comes', async (t) => {
  const release = deferred()
  const { port, app } = await startApp(t, (app) => {
    app.get('/slow', async () => { await release.promise; return 'slow answer' })
    app.websocketRoute('/ws', {
      handshakeTimeout: false,
      async onHandshake (_conn, { signal }) { await new Promise((resolve) => signal.addEventListener('abort', resolve)) }
    })
  })
  const connected = once(app.server, 'connection')
  const client = await RawClient.connect(t, port)
  client.write(get('/slow') + handshake('/ws'))
  await eventually(() => app.websockets.stats.pending === 1)
  const [socket] = await connected as [Socket]
  const ended = once(socket, 'end')
  client.socket.end()
  await ended
  release.resolve()
  t.match((await client.until((bytes) => bytes.includes('slow answer'))).toString(), /^HTTP\/1\.1 200 OK/)
  await eventually(() => app.websockets.stats.aborted === 1)
  t.equal(app.websockets.stats.pending, 0)
})

t.test('waits for its turn on the second server that Fastify opens for localhost, too', async (t) => {
  const release = deferred()
  const { app } = await startApp(t, (app) => {
    app.get('/slow', async () => { await release.promise; return 'slow answer' })
    app.websocketRoute('/ws', { onConnection () {} })
  }, { listen: { port: 0, host: 'localhost' } })
  const addresses = app.addresses() as AddressInfo[]
  if (addresses.length < 2) {
    t.pass('localhost has one address here')
    return
  }
  for (const { address, port } of addresses) {
    const socket = connectSocket({ host: address, port })
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    const client = new RawClient(socket)
    client.write(get('/slow') + handshake('/ws'))
    await fetch(`http://localhost:${port}/none`)
    release.resolve()
    const received = await client.until((bytes) => bytes.includes('101 Switching'))
    t.match(received.toString(), /slow answerHTTP\/1\.1 101/)
  }
})

const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n'
const json = '{"a":1}'

const plainRoutes = (release?: Deferred) => (app: FastifyInstance): void => {
  app.get('/', async (request) => ({ plain: request.method, connection: request.headers.connection ?? null, mark: request.headers['x-mark'] ?? null }))
  app.post('/', async (request) => request.body)
  app.get('/slow', async () => { await release?.promise; return 'slow answer' })
  app.websocketRoute('/ws', { onConnection () {} })
}

// From Node 26 on a request with a body is not replayed: it is answered and the connection is closed.
const closesAfterBody = Number(process.versions.node.split('.')[0]) >= 26

async function checkForeign (t: Test, port: number): Promise<void> {
  const client = await RawClient.connect(t, port)
  client.write(`GET / HTTP/1.1\r\nHost: a\r\n${h2c}X-Mark: mark\r\n\r\n` + get('/none'))
  await client.until((bytes) => bytes.includes('404'))
  t.match(client.received.toString(), /"plain":"GET","connection":null,"mark":"mark"/)
  t.notMatch(client.received.toString(), /Connection: close/i)
  const bodies = [
    [`POST / HTTP/1.1\r\nHost: a\r\n${h2c}Content-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json.slice(0, 3)}`, json.slice(3)],
    [`POST / HTTP/1.1\r\nHost: a\r\nUpgrade: TLS/1.0\r\nConnection: keep-alive, upgrade\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n${json}`, '\r\n0\r\n\r\n']
  ] as const
  for (const [first, rest] of bodies) {
    const client = await RawClient.connect(t, port)
    client.write(first)
    client.write(rest + get('/none'))
    await client.until((bytes) => bytes.includes(closesAfterBody ? json : '404'))
    t.match(client.received.toString(), json)
  }
}

t.test('serves a request for another protocol as plain HTTP, with its body and what follows it', async (t) => {
  const { port } = await startApp(t, plainRoutes())
  await checkForeign(t, port)
  const client = await RawClient.connect(t, port)
  client.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: TLS/1.0\r\nConnection: keep-alive, upgrade\r\n\r\n' + handshake('/ws'))
  await client.until((bytes) => bytes.includes('101 Switching'))
})

// Fastify's second server for localhost forwards its upgrades like this; Node asks nobody there.
async function startForwarding (t: Test, app: FastifyInstance): Promise<number> {
  const second = createServer((request, response) => app.routing(request, response))
  second.on('upgrade', (...args) => app.server.emit('upgrade', ...args))
  t.teardown(() => { second.closeAllConnections(); second.close() })
  await once(second.listen(0, '127.0.0.1'), 'listening')
  return (second.address() as AddressInfo).port
}

t.test('serves it on a second server, too', async (t) => {
  const release = deferred()
  const { app } = await startApp(t, plainRoutes(release))
  const port = await startForwarding(t, app)
  await checkForeign(t, port)
  const waiting = await RawClient.connect(t, port)
  waiting.write(get('/slow') + `GET / HTTP/1.1\r\nHost: a\r\n${h2c}\r\n`)
  await fetch(`http://127.0.0.1:${port}/`)
  release.resolve()
  t.match((await waiting.until((bytes) => bytes.includes('"plain"'))).toString(), /slow answerHTTP\/1\.1 200/)
})

t.test('serves it when Node parses its body still, as from Node 26 on', async (t) => {
  const { app } = await startApp(t, plainRoutes())
  const second = createServer((request, response) => {
    response.detachSocket(request.socket)
    app.server.emit('upgrade', request, new PassThrough(), Buffer.alloc(0))
  })
  t.teardown(() => { second.closeAllConnections(); second.close() })
  await once(second.listen(0, '127.0.0.1'), 'listening')
  const client = await RawClient.connect(t, (second.address() as AddressInfo).port)
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json}`)
  const { status, body } = parseHead(await client.untilEnd())
  t.same([status, body], [200, json])
  t.match(app.websockets.stats, { pending: 0, accepted: 0, aborted: 0 }, 'no handshake')
  t.same(app.websockets.stats.refused, {})
})

t.test('on a further server it is answered by that, also when Node has parsed its body', async (t) => {
  const seen = new WeakSet<IncomingMessage>()
  const further = createServer((request, response) => {
    if (seen.has(request)) {
      response.end(`further ${String(request.url)}`)
      return
    }
    seen.add(request)
    response.detachSocket(request.socket)
    further.emit('upgrade', request, new PassThrough(), Buffer.alloc(0))
  })
  t.teardown(() => { further.closeAllConnections(); further.close() })
  await once(further.listen(0, '127.0.0.1'), 'listening')
  await startApp(t, plainRoutes(), { plugin: { servers: [further] } })
  const client = await RawClient.connect(t, (further.address() as AddressInfo).port)
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json}`)
  const { status, body } = parseHead(await client.untilEnd())
  t.match([status, body], [200, /further \//])
})

t.test('never takes the body of a request for another protocol for the next request, however many fields it has', async (t) => {
  const hidden = get('/hidden')
  for (const [limit, fields] of [[undefined, 1_100], [undefined, 994], [0, 1_100], [5_000, 1_100], [20, 100]] as const) {
    const seen: string[] = []
    const { app, port } = await startApp(t, (app) => {
      app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
      app.addHook('onRequest', async ({ url }) => { seen.push(url) })
      app.post('/', async (request) => `body of ${(request.body as Buffer).length}`)
      app.websocketRoute('/ws', { onConnection () {} })
    }, { server: { http: { maxHeaderSize: 65_536 } } as object })
    if (limit !== undefined) app.server.maxHeadersCount = limit
    const client = await RawClient.connect(t, port)
    client.socket.on('end', () => client.socket.end())
    client.write(`POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Type: x/y\r\n${'a:\r\n'.repeat(fields)}Content-Length: ${hidden.length}\r\n\r\n${hidden}`)
    if (fields === 994) { // one less than what Node keeps
      t.match((await client.until((bytes) => bytes.includes('body of'))).toString(), `body of ${hidden.length}`)
    } else {
      const response = parseHead(await client.untilEnd())
      // From some version on Node says so itself, and Fastify answers.
      t.match([response.status, JSON.parse(response.body)], [431, { statusCode: 431, error: 'Request Header Fields Too Large' }])
    }
    t.notOk(seen.includes('/hidden'))
  }
})

t.test('a socket gathers no listeners however many requests for other protocols it sends', async (t) => {
  const { app, port } = await startApp(t, plainRoutes())
  const connected = once(app.server, 'connection')
  const client = await RawClient.connect(t, port)
  const [socket] = await connected as [Socket]
  const counts: number[] = []
  for (let i = 1; i <= 5; i++) {
    client.write(`GET / HTTP/1.1\r\nHost: a\r\n${h2c}\r\n`)
    await client.until((bytes) => bytes.toString().split('"plain"').length === i + 1)
    counts.push(socket.eventNames().reduce((sum, name) => sum + socket.listenerCount(name), 0))
  }
  t.equal(counts.at(-1), counts[0])
})

t.test('leaves requests for other protocols to listeners of the app', async (t) => {
  const { app, port } = await startApp(t, plainRoutes())
  app.server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    if (request.headers.upgrade !== 'websocket') socket.end('HTTP/1.1 101 Mine\r\nConnection: Upgrade\r\nUpgrade: mine\r\n\r\n')
  })
  const client = await RawClient.connect(t, port)
  client.write('GET /mine HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: mine\r\n\r\n')
  t.match((await client.untilEnd()).toString(), /^HTTP\/1\.1 101 Mine/)
  t.equal((await connect(t, `ws://127.0.0.1:${port}/ws`)).status, 101)
})

t.test('a request for another protocol waits for its turn as well', async (t) => {
  const release = deferred()
  const { port } = await startApp(t, plainRoutes(release))
  const client = await RawClient.connect(t, port)
  client.write(get('/slow') + `GET / HTTP/1.1\r\nHost: a\r\n${h2c}\r\n`)
  await fetch(`http://127.0.0.1:${port}/`)
  release.resolve()
  t.match((await client.until((bytes) => bytes.includes('"plain"'))).toString(), /slow answerHTTP\/1\.1 200/)
})

t.test('a WebSocket opens on a socket that has served plain requests before', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.get('/', async () => 'plain')
    app.websocketRoute('/ws', { onConnection (conn) { conn.send('open') } })
  })
  const client = await RawClient.connect(t, port)
  client.write(get('/'))
  await client.until((bytes) => bytes.includes('plain'))
  client.write(handshake('/ws'))
  await client.until((bytes) => bytes.includes('open'))
  t.equal((await connect(t, `ws://127.0.0.1:${port}/ws`)).status, 101)
})
