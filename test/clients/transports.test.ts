// The core cases over TCP, over TLS and over a Unix socket; what each of them tests in detail stands in a file of its own.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectSocket, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { ClientOptions } from 'ws'
import type { WebSocketConnection } from '../../index.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { closed, connect, connectRefused, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, handshake, maskedFrame, parseHead, RawClient, textFrame } from '../support/raw.ts'
import { cert, key } from '../support/tls.ts'

/** A server on one transport, and how to get to it. */
interface Server extends TestApp {
  url: (path: string) => string
  options: ClientOptions
  dial: () => Promise<RawClient>
}

type Start = (t: Test, build: (app: FastifyInstance) => unknown, plugin?: object) => Promise<Server>

const raw = async (t: Test, socket: Socket, event: string): Promise<RawClient> => {
  t.teardown(() => socket.destroy())
  const client = new RawClient(socket)
  await once(socket, event)
  return client
}

const transports: Record<string, Start> = {
  async TCP (t, build, plugin = {}) {
    const started = await startApp(t, build, { plugin })
    return {
      ...started,
      url: (path) => `ws://127.0.0.1:${started.port}${path}`,
      options: {},
      dial: async () => await raw(t, connectSocket({ port: started.port, host: '127.0.0.1', allowHalfOpen: true }), 'connect')
    }
  },
  async TLS (t, build, plugin = {}) {
    const started = await startApp(t, build, { plugin, server: { https: { key, cert } } as object })
    return {
      ...started,
      url: (path) => `wss://127.0.0.1:${started.port}${path}`,
      options: { ca: cert },
      dial: async () => await raw(t, connectTls({ port: started.port, host: '127.0.0.1', ca: cert }), 'secureConnect')
    }
  },
  async 'a Unix socket' (t, build, plugin = {}) {
    // A directory with a short name: the path of a Unix socket may have about 100 bytes.
    const directory = mkdtempSync(join(tmpdir(), 'ws-'))
    t.teardown(() => rmSync(directory, { recursive: true }))
    const path = join(directory, 'socket')
    const started = await startApp(t, build, { plugin, listen: { path } })
    return {
      ...started,
      url: (url) => `ws+unix://${path}:${url}`,
      options: {},
      dial: async () => await raw(t, connectSocket({ path, allowHalfOpen: true }), 'connect')
    }
  }
}

const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'], additionalProperties: false }

const cases: Record<string, (t: Test, start: Start) => Promise<void>> = {
  async 'accepts with headers of hooks and of onHandshake, and a protocol' (t, start) {
    const { url, options } = await start(t, (app) => {
      app.addHook('onRequest', async (_request, reply) => { reply.header('x-hook', 'a') })
      app.websocketRoute('/rooms/:room', {
        protocols: ['v2', 'v1'],
        async onHandshake (conn, { params }) { await null; conn.acceptWith({ headers: { 'x-room': (params as { room: string }).room, 'set-cookie': ['a=1', 'b=2'] } }) }
      })
    })
    const { socket, headers } = await connect(t, url('/rooms/tea'), ['v1', 'v2'], options)
    t.match(headers, { 'x-hook': 'a', 'x-room': 'tea', 'set-cookie': ['a=1', 'b=2'] })
    t.equal(socket.protocol, 'v2')
  },

  async 'refuses, fails, times out and does not find with whole responses' (t, start) {
    const { url, options, app } = await start(t, (app) => {
      app.websocketRoute('/rejects', { onHandshake (conn) { conn.reject({ code: 401, body: { no: true }, headers: { 'x-a': 'b' } }) } })
      app.websocketRoute('/rejects-at-length', { onHandshake (conn) { conn.reject({ code: 403, body: 'x'.repeat(1_000_000) }) } })
      app.websocketRoute('/throws', { onHandshake () { throw new Error('no') } })
      app.websocketRoute('/times-out', { handshakeTimeout: 10, onHandshake: async () => { await new Promise(() => {}) } })
      app.websocketRoute('/invalid', { schema: { querystring: schema }, onConnection () {} })
    })
    t.match(await connectRefused(t, url('/rejects'), [], options), { status: 401, body: '{"no":true}', headers: { 'x-a': 'b', connection: 'close' } })
    t.match(await connectRefused(t, url('/rejects-at-length'), [], options), { status: 403, body: 'x'.repeat(1_000_000) })
    for (const [path, status] of [['/throws', 500], ['/times-out', 503], ['/invalid', 400], ['/none', 404]] as const) {
      t.equal((await connectRefused(t, url(path), [], options)).status, status, path)
    }
    t.equal((await connectRefused(t, url('/throws'), [], { ...options, headers: { origin: 'https://evil.example' } })).status, 403)
    t.equal(app.websockets.stats.pending, 0)
  },

  async 'refuses what is no handshake' (t, start) {
    const { dial } = await start(t, (app) => app.websocketRoute('/', { onConnection () {} }))
    for (const [request, status] of [
      [handshake('/', { 'Sec-WebSocket-Key': 'bad' }), 400],
      [handshake('/', { 'Sec-WebSocket-Version': '8' }), 426],
      [handshake('/', {}, 'POST / HTTP/1.1'), 405],
      ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 426]
    ] as const) {
      const client = await dial()
      client.write(request)
      t.equal((await client.head()).status, status)
    }
  },

  async 'lets the app know when the client leaves during the handshake' (t, start) {
    const aborted = deferred()
    const reached = deferred()
    const { dial, app } = await start(t, (app) => app.websocketRoute('/', {
      async onHandshake (_conn, { signal }) {
        signal.addEventListener('abort', () => aborted.resolve())
        reached.resolve()
        await aborted.promise
      },
      onConnection () { t.fail('opened') }
    }))
    const client = await dial()
    client.write(handshake('/'))
    await reached.promise
    client.socket.destroy()
    await aborted.promise
    t.match(app.websockets.stats, { aborted: 1, pending: 0 })
  },

  async 'loses nothing that comes early, and keeps the order' (t, start) {
    const { dial } = await start(t, (app) => app.websocketRoute('/', {
      async onHandshake () { await new Promise(setImmediate) },
      async onConnection (conn) { await new Promise(setImmediate); conn.send('open') },
      onMessage (conn, message) { conn.sendMessage(message) }
    }))
    const client = await dial()
    client.write(Buffer.concat([Buffer.from(handshake('/')), textFrame('1')]))
    await client.head()
    client.write(Buffer.concat([textFrame('2'), maskedFrame(0x82, Buffer.alloc(100_000, 3))]))
    const frames = await client.untilFrames(4)
    t.same(frames.map(({ first, payload }) => [first, payload.length < 10 ? payload.toString() : payload.length]), [[0x81, 'open'], [0x81, '1'], [0x81, '2'], [0x82, 100_000]])
  },

  async 'validates and serialises messages, and deflates them' (t, start) {
    const errors: unknown[] = []
    const { url, options } = await start(t, (app) => app.websocketRoute('/', {
      perMessageDeflate: { threshold: 0 },
      schema: { receive: schema, send: schema },
      onMessage (conn, message) { conn.sendMessage({ ...message as object, more: true }) },
      onError (conn, error) { errors.push((error as { code?: string }).code); conn.close(1007) }
    }))
    const { socket } = await connect(t, url('/'), [], { ...options, perMessageDeflate: true })
    t.match(socket.extensions, /permessage-deflate/)
    socket.send('{"n":"1"}')
    t.equal(await nextMessage(socket), '{"n":1}')
    socket.send('{}')
    t.equal(await closed(socket), 1007)
    t.same(errors, ['FST_ERR_WS_MESSAGE_INVALID'])
  },

  async 'holds a sender back whose peer does not read, and lets it go on' (t, start) {
    const blocked = deferred()
    const { dial } = await start(t, (app) => app.websocketRoute('/', {
      async onConnection (conn) {
        let sent = 0
        for (; sent < 64; sent++) {
          if (conn.sendMessage(Buffer.alloc(1024 * 1024))) continue
          blocked.resolve()
          await conn.drained()
        }
        conn.close(4000)
      }
    }))
    const client = await dial()
    client.write(handshake('/'))
    await client.head()
    client.socket.pause()
    await blocked.promise
    const before = client.socket.bytesRead
    client.socket.removeAllListeners('data').resume()
    const ended = once(client.socket, 'end')
    await eventually(() => client.socket.bytesRead - before > 32 * 1024 * 1024)
    client.write(closeFrame(4000))
    await ended
    t.pass('it went on')
  },

  async 'closes from both sides, and knows a reset' (t, start) {
    const ends: string[] = []
    const { url, options, dial } = await start(t, (app) => app.websocketRoute('/', {
      onMessage (conn) { conn.close(4001, 'server') },
      onClose (_conn, { code, initiator }) { ends.push(`${code} ${initiator}`) }
    }))
    const { socket } = await connect(t, url('/'), [], options)
    socket.send('close')
    t.equal(await closed(socket), 4001)
    await eventually(() => ends.length === 1)
    const other = (await connect(t, url('/'), [], options)).socket
    other.close(4002)
    await eventually(() => ends.length === 2)
    const client = await dial()
    client.write(handshake('/'))
    await client.head()
    client.socket.destroy()
    await eventually(() => ends.length === 3)
    t.same(ends, ['4001 server', '4002 peer', '1006 network'])
  },

  async 'iterates, pings and broadcasts' (t, start) {
    const seen: unknown[] = []
    const { url, options, app } = await start(t, (app) => app.websocketRoute('/', {
      async onConnection (conn: WebSocketConnection) { for await (const message of conn) seen.push(message) }
    }), { heartbeat: 1_500 })
    const { socket } = await connect(t, url('/'), [], options)
    await once(socket, 'ping')
    socket.send('a')
    socket.send('b')
    const got = nextMessage(socket)
    t.equal(app.websockets.broadcast('all'), 1)
    t.equal(await got, 'all')
    socket.close()
    await eventually(() => app.websockets.size === 0)
    t.same(seen, ['a', 'b'])
  },

  async 'closes with 1001, and answers pending handshakes with 503' (t, start) {
    const { url, options, app } = await start(t, (app) => {
      app.websocketRoute('/', { onConnection () {} })
      app.websocketRoute('/hangs', { onHandshake: async () => { await new Promise(() => {}) } })
    })
    const { socket } = await connect(t, url('/'), [], options)
    const refused = connectRefused(t, url('/hangs'), [], options)
    await eventually(() => app.websockets.stats.pending === 1)
    const code = closed(socket)
    await app.close()
    t.equal(await code, 1001)
    t.match(await refused, { status: 503, headers: { 'retry-after': '5', connection: 'close' } })
  },

  async 'answers requests for other protocols as plain HTTP, with a body, and what follows' (t, start) {
    const { dial } = await start(t, (app) => {
      app.get('/', async ({ headers }) => ({ upgrade: headers.upgrade ?? null }))
      app.post('/', async ({ body }) => body)
      app.websocketRoute('/ws', { onConnection () {} })
    })
    const next = 'GET /none HTTP/1.1\r\nHost: a\r\n\r\n'
    const client = await dial()
    client.write(`GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n${next}`)
    t.match((await client.until((bytes) => bytes.includes('Not Found'))).toString(), /^HTTP\/1\.1 200 [^]*\{"upgrade":null\}HTTP\/1\.1 404 /)
    client.write(handshake('/ws'))
    await client.until((bytes) => bytes.includes('101 Switching'))

    const chunked = await dial()
    chunked.write('POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: TLS/1.0, h2c\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n')
    await new Promise(setImmediate)
    chunked.write(`4\r\n":1}\r\n0\r\n\r\n${next}`)
    const received = await chunked.until((bytes) => bytes.includes('{"a":1}'))
    t.equal(parseHead(received).status, 200)
    // From Node 26 on a request with a body is answered and the connection closed.
    if (Number(process.versions.node.split('.')[0]) < 26) await chunked.until((bytes) => bytes.includes('Not Found'))
  }
}

t.jobs = 4

for (const [transport, start] of Object.entries(transports)) {
  t.test(`over ${transport}`, async (t) => {
    for (const [name, check] of Object.entries(cases)) await t.test(name, async (t) => { await check(t, start) })
  })
}
