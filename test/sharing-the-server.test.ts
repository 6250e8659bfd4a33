// Upgrades on a socket that other requests are on, and upgrades that are not ours.
import { once } from 'node:events'
import { type AddressInfo, connect as connectSocket } from 'node:net'
import { Readable } from 'node:stream'
import t from 'tap'
import { startApp } from './support/app.ts'
import { connect } from './support/client.ts'
import { deferred } from './support/deferred.ts'
import { field, handshake, parseHead, RawClient, textFrame } from './support/raw.ts'

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
  const size = 4 * 1024 * 1024
  const { port } = await startApp(t, (app) => {
    app.get('/long', (_request, reply) => {
      void reply.send(Readable.from((function * () { for (let i = 0; i < size / 65_536; i++) yield Buffer.alloc(65_536, 'x') })()))
    })
    app.websocketRoute('/ws', { onHandshake (conn) { conn.reject({ code: 418 }) } })
  })
  const client = await RawClient.connect(t, port)
  client.write(get('/long') + handshake('/ws'))
  const text = (await client.untilEnd()).toString('latin1')
  const first = parseHead(Buffer.from(text, 'latin1'))
  t.equal(field(first, 'transfer-encoding'), 'chunked')
  t.equal(text.replaceAll(/[^x]/g, '').length > size - 1, true)
  t.match(text.slice(-500), /0\r\n\r\nHTTP\/1\.1 418/)
})

t.test('a client that leaves while its upgrade waits leaves nothing behind', async (t) => {
  const reached = deferred()
  const { port, app } = await startApp(t, (app) => {
    app.get('/never', () => { reached.resolve(); return new Promise(() => {}) })
    app.websocketRoute('/ws', { onHandshake () { t.fail('ran') } })
  })
  const { attachUpgradeListener } = await import('../lib/upgrade.ts')
  const client = await RawClient.connect(t, port)
  const upgraded = once(app.server, 'upgrade')
  client.write(get('/never') + handshake('/ws'))
  await reached.promise
  const [{ socket }] = await upgraded as [{ socket: { destroy (): void } }]
  t.equal(attachUpgradeListener(app).pending.size, 1)
  socket.destroy()
  await attachUpgradeListener(app).pending.whenEmpty()
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

t.test('serves a request for another protocol as plain HTTP, with its body and what follows it', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.get('/', async (request) => ({ upgrade: request.headers.upgrade ?? null, connection: request.headers.connection ?? null, mark: request.headers['x-mark'] ?? null }))
    app.post('/', async (request) => request.body)
    app.websocketRoute('/ws', { onConnection () {} })
  })
  const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n'
  const json = '{"a":1}'
  const client = await RawClient.connect(t, port)
  client.write(`GET / HTTP/1.1\r\nHost: a\r\n${h2c}X-Mark: \xe4\r\n\r\n`)
  await client.until((bytes) => bytes.includes('"mark":'))
  client.write(`POST / HTTP/1.1\r\nHost: a\r\n${h2c}Content-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json.slice(0, 3)}`)
  client.write(json.slice(3))
  await client.until((bytes) => bytes.toString().endsWith(json))
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nUpgrade: TLS/1.0\r\nConnection: keep-alive, upgrade\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n${json}\r\n0\r\n\r\n` + get('/none'))
  await client.until((bytes) => bytes.includes('404'))
  const text = client.received.toString()
  t.match(text, '{"upgrade":null,"connection":null')
  t.equal(text.split(json).length, 3)
  t.notMatch(text, /Connection: close/i)
  client.write(handshake('/ws'))
  await client.until((bytes) => bytes.includes('101 Switching'))
})

t.test('a request for another protocol waits for its turn as well', async (t) => {
  const release = deferred()
  const { port } = await startApp(t, (app) => {
    app.get('/slow', async () => { await release.promise; return 'slow answer' })
    app.get('/quick', async () => 'quick answer')
    app.websocketRoute('/ws', { onConnection () {} })
  })
  const client = await RawClient.connect(t, port)
  client.write(get('/slow') + 'GET /quick HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')
  await fetch(`http://127.0.0.1:${port}/quick`)
  release.resolve()
  t.match((await client.until((bytes) => bytes.includes('quick answer'))).toString(), /slow answerHTTP\/1\.1 200/)
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
