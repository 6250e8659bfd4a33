// fastify.injectWebSocket(): a client without a port.
import { getEventListeners, once } from 'node:events'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import fastifyCookie from '@fastify/cookie'
import t, { type Test } from 'tap'
import { createWebSocketStream, WebSocket } from 'ws'
import websocket, { type InjectedWebSocket, type RefusedHandshake, type WebSocketPluginOptions } from '../../index.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { cert, key } from '../support/tls.ts'

async function newApp (t: Test, build: (app: FastifyInstance) => unknown, server: FastifyServerOptions = {}, plugin: WebSocketPluginOptions = {}): Promise<FastifyInstance> {
  const app = Fastify(server)
  t.teardown(() => app.close())
  await app.register(websocket, plugin)
  await build(app)
  return app
}

const echo = (app: FastifyInstance): void => {
  app.websocketRoute('/', { onMessage (conn, message) { conn.sendMessage(message) } })
}

/** The next messages. */
async function take (client: InjectedWebSocket, count: number): Promise<Array<string | Buffer>> {
  const messages: Array<string | Buffer> = []
  for await (const message of client.messages()) {
    messages.push(message)
    if (messages.length === count) break
  }
  return messages
}

t.test('connects before listen, with the client of ws, and readies the server itself', async (t) => {
  let isReady = false
  const app = await newApp(t, (app) => {
    echo(app)
    app.addHook('onReady', async () => { isReady = true })
  })
  const client = await app.injectWebSocket('/')
  t.ok(isReady)
  t.equal(app.server.listening, false)
  t.ok(client instanceof WebSocket)
  t.equal(client.readyState, WebSocket.OPEN)
  t.equal(app.websockets.size, 1)
  client.send('hello')
  client.send(Buffer.from('bytes'))
  t.same(await take(client, 2), ['hello', Buffer.from('bytes')])
  const closing = once(client, 'close')
  client.close(4000, 'bye')
  t.match(await closing, [4000, Buffer.from('bye')])
  await eventually(() => app.websockets.size === 0)
  t.same(app.websockets.stats.closed, { 4000: 1 })
})

t.test('messages() never misses the first one, goes on after a break, and ends with the connection', async (t) => {
  const app = await newApp(t, (app) => {
    app.websocketRoute('/', { onConnection (conn) { for (let i = 0; i < 5; i++) conn.send(String(i)) }, onMessage (conn) { conn.close() } })
  })
  const client = await app.injectWebSocket('/')
  await new Promise((resolve) => setTimeout(resolve, 20)) // all have come
  t.same(await take(client, 2), ['0', '1'])
  t.same(await take(client, 2), ['2', '3'])
  client.send('enough')
  const rest: unknown[] = []
  for await (const message of client.messages()) rest.push(message)
  t.same(rest, ['4'])
  t.same(await take(client, 1), [], 'ended')
})

t.test('messages() may be waited for by two', async (t) => {
  const app = await newApp(t, echo)
  const client = await app.injectWebSocket('/')
  const both = Promise.all([take(client, 1), take(client, 1)])
  client.send('a')
  client.send('b')
  t.same((await both).flat().sort(), ['a', 'b'])
  const ends = Promise.all([take(client, 1), take(client, 1)])
  client.close()
  t.same(await ends, [[], []])
})

t.test('ends, as a test sees it, however the connection ends', async (t) => {
  const app = await newApp(t, (app) => {
    app.websocketRoute('/throws', { onConnection () { throw new Error('no') } })
    app.websocketRoute('/terminates', { onConnection (conn) { conn.terminate() } })
  })
  for (const [path, code] of [['/throws', 1011], ['/terminates', 1006]] as const) {
    const client = await app.injectWebSocket(path)
    const end = client.readyState === WebSocket.CLOSED ? null : once(client, 'close')
    t.same(await take(client, 1), [], path)
    if (end !== null) t.equal((await end)[0], code)
  }
})

t.test('request.ip, trustProxy, headers, cookies and protocols are those of a network', async (t) => {
  const app = await newApp(t, async (app) => {
    await app.register(fastifyCookie)
    app.websocketRoute('/:id', {
      protocols: ['v2', 'v1'],
      onHandshake (conn, request) {
        conn.acceptWith({ headers: { 'x-ip': request.ip, 'x-host': request.host, 'x-query': request.url, 'x-cookie': request.cookies.a ?? 'none', 'set-cookie': ['b=1', 'c=2'] } })
      }
    })
  }, { trustProxy: '10.0.0.1' })
  const client = await app.injectWebSocket('/room?x=1', {
    headers: { cookie: 'a=secret', 'X-Forwarded-For': '1.2.3.4', host: 'app.example' }, protocols: ['v1', 'v2'], remoteAddress: '10.0.0.1'
  })
  t.equal(client.protocol, 'v2')
  t.equal(client.response.statusCode, 101)
  t.match(client.response.headers, { 'x-ip': '1.2.3.4', 'x-host': 'app.example', 'x-query': '/room?x=1', 'x-cookie': 'secret', 'set-cookie': ['b=1', 'c=2'] })
  t.equal((await app.injectWebSocket('/', { headers: { 'x-forwarded-for': '1.2.3.4' } })).response.headers['x-ip'], '127.0.0.1')
  t.equal((await app.injectWebSocket('/', { remoteAddress: '::1' })).response.headers['x-ip'], '::1')
})

t.test('the socket that hooks see has addresses and knows whether it is TLS', async (t) => {
  for (const [server, encrypted, port, protocol] of [[{}, false, 80, 'http'], [{ https: { key, cert } }, true, 443, 'https']] as const) {
    const seen: unknown[] = []
    const app = await newApp(t, (app) => {
      app.websocketRoute('/', {
        onConnection (conn, { socket, protocol }) {
          const { remoteAddress, remotePort, remoteFamily, localAddress, localPort } = socket
          seen.push(remoteAddress, remotePort, remoteFamily, localAddress, localPort, 'encrypted' in socket && socket.encrypted, protocol)
          conn.send('hello')
        }
      })
    }, server as FastifyServerOptions)
    const client = await app.injectWebSocket('/', { remoteAddress: '::2' })
    t.same(await take(client, 1), ['hello'])
    t.same(seen, ['::2', 50_000, 'IPv6', '127.0.0.1', port, encrypted, protocol])
  }
})

t.test('rejects with the whole refusal', async (t) => {
  const app = await newApp(t, (app) => {
    app.setNotFoundHandler((_request, reply) => reply.code(404).send('nothing here'))
    app.websocketRoute('/reject', { onHandshake (conn) { conn.reject({ code: 401, body: { why: 'token' }, headers: { 'www-authenticate': 'Bearer' } }) } })
    app.websocketRoute('/throws', { onHandshake () { throw Object.assign(new Error('teapot'), { statusCode: 418 }) } })
    app.websocketRoute('/hook', { preHandler: async (_request, reply) => await reply.code(409).send('x'.repeat(200_000)), onConnection () {} })
    app.websocketRoute('/time-out', { handshakeTimeout: 10, onHandshake: async () => { await new Promise(() => {}) } })
    app.websocketRoute('/origin', { onConnection () {} })
    app.get('/plain', async () => 'plain')
  })
  const refusal = async (path: string, options = {}): Promise<RefusedHandshake> => await app.injectWebSocket(path, options).then(() => { throw new Error('open') }, (error: unknown) => error as RefusedHandshake)
  const error = await refusal('/reject')
  t.match(error, {
    code: 'FST_ERR_WS_REFUSED', statusCode: 401, headers: { 'www-authenticate': 'Bearer', connection: 'close' }, body: '{"why":"token"}', message: /\/reject.*401.*\{"why":"token"\}/
  })
  t.ok(error instanceof Error)
  t.match(await refusal('/throws'), { statusCode: 418, body: /teapot/ })
  const long = await refusal('/hook')
  t.match(long, { statusCode: 409, body: 'x'.repeat(200_000) })
  t.ok(long.message.length < 1_000)
  t.match(await refusal('/time-out'), { statusCode: 503, body: /FST_ERR_WS_HANDSHAKE_TIMEOUT/ })
  t.match(await refusal('/origin', { headers: { origin: 'https://evil.example' } }), { statusCode: 403, body: /FST_ERR_WS_ORIGIN/ })
  t.match(await refusal('/none'), { statusCode: 404, body: 'nothing here' })
  t.match(await refusal('/plain'), { statusCode: 200, body: 'plain' })
  t.same(app.websockets.stats.pending, 0)
})

t.test('rejects when the server drops the handshake, or breaks it', async (t) => {
  const app = await newApp(t, (app) => {
    app.websocketRoute('/terminate', { onHandshake (conn) { conn.terminate() } })
    app.websocketRoute('/destroy', { preHandler: async (request) => { request.raw.socket.destroy() }, onConnection () {} })
    app.websocketRoute('/hijack', {
      preHandler: async (request, reply) => { reply.hijack(); request.raw.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab', () => request.raw.socket.destroy()) },
      onConnection () {}
    })
    app.websocketRoute('/nonsense', { preHandler: async (request, reply) => { reply.hijack(); request.raw.socket.end('nonsense\r\n\r\n') }, onConnection () {} })
  })
  for (const path of ['/terminate', '/destroy', '/hijack', '/nonsense']) {
    const error = await app.injectWebSocket(path).then(() => null, (error: unknown) => error as Error & { code: string })
    t.match(error, { code: 'FST_ERR_WS_INJECT', message: new RegExp(path) }, path)
    t.ok(error?.cause instanceof Error)
  }
  await eventually(() => app.websockets.stats.pending === 0)
})

t.test('a handshake that nobody answers ends after the timeout', async (t) => {
  const app = await newApp(t, (app) => { app.websocketRoute('/', { handshakeTimeout: false, onHandshake: async () => { await new Promise(() => {}) } }) })
  await t.rejects(app.injectWebSocket('/', { timeout: 20 }), { code: 'FST_ERR_WS_INJECT', message: /no answer within 20 ms/ })
  await eventually(() => app.websockets.stats.aborted === 1)
})

t.test('signal: before the handshake, during it, and on the open connection', async (t) => {
  const reached = deferred()
  const aborted = deferred()
  const codes: number[] = []
  const app = await newApp(t, (app) => {
    app.websocketRoute('/', { onConnection () {}, onClose (_conn, { code }) { codes.push(code) } })
    app.websocketRoute('/hangs', {
      async onHandshake (_conn, { signal }) {
        signal.addEventListener('abort', () => aborted.resolve())
        reached.resolve()
        await aborted.promise
      }
    })
  })
  const reason = new Error('the test is over')
  await t.rejects(app.injectWebSocket('/', { signal: AbortSignal.abort(reason) }), reason)
  t.equal(app.websockets.stats.accepted, 0)

  const during = new AbortController()
  const waiting = app.injectWebSocket('/hangs', { signal: during.signal })
  await reached.promise
  during.abort(reason)
  await t.rejects(waiting, reason)
  await aborted.promise
  await eventually(() => app.websockets.stats.aborted === 1)

  const open = new AbortController()
  const client = await app.injectWebSocket('/', { signal: open.signal })
  const end = once(client, 'close')
  open.abort()
  t.equal((await end)[0], 1006)
  await eventually(() => codes.length === 1)
  t.same(codes, [1006])

  // A signal may live longer than the test's connections.
  const { signal } = new AbortController()
  const closing = await app.injectWebSocket('/', { signal })
  t.equal(getEventListeners(signal, 'abort').length, 1)
  closing.close()
  await once(closing, 'close')
  await t.rejects(app.injectWebSocket('/none', { signal }), { code: 'FST_ERR_WS_REFUSED' } as object as Error)
  await eventually(() => getEventListeners(signal, 'abort').length === 0)
})

t.test('a signal that has been aborted before opens nothing, on an instance that is ready either', async (t) => {
  const app = await newApp(t, (app) => { app.websocketRoute('/', { onConnection () {} }) })
  const { signal } = new AbortController()
  const client = await app.injectWebSocket('/', { signal })
  const reason = new Error('the test is over')
  await t.rejects(app.injectWebSocket('/', { signal: AbortSignal.abort(reason) }), reason)
  const other = await app.injectWebSocket('/')
  t.equal(app.websockets.stats.accepted, 2)
  for (const each of [client, other]) each.terminate()
})

t.test('a client that leaves aborts request.signal, as on a network', async (t) => {
  const app = await newApp(t, (app) => {
    app.websocketRoute('/', { onConnection () {}, onRequestAbort: async () => { t.fail('on an open connection') } })
  })
  const client = await app.injectWebSocket('/')
  client.terminate()
  await eventually(() => app.websockets.size === 0)
  t.same(app.websockets.stats.closed, { 1006: 1 })
})

t.test('backpressure is that of a network', async (t) => {
  const returned: boolean[] = []
  const app = await newApp(t, (app) => {
    app.websocketRoute('/', {
      async onConnection (conn) {
        for (let i = 0; i < 20; i++) {
          returned.push(conn.sendMessage(Buffer.alloc(100_000, i)))
          if (returned.at(-1) === false) await conn.drained()
        }
      },
      onMessage () {}
    })
  })
  const client = await app.injectWebSocket('/')
  client.pause()
  await eventually(() => returned.includes(false))
  const { length } = returned
  t.ok(length < 20)
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(returned.length, length, 'waits')
  client.resume()
  t.same((await take(client, 20)).map((message) => (message as Buffer)[0]), Array.from({ length: 20 }, (_, i) => i))
  const big = Buffer.alloc(1_000_000, 1)
  client.send(big)
  await eventually(() => app.websockets.stats.received.bytes === big.length)
})

t.test('works with compression and with streams of ws', async (t) => {
  const app = await newApp(t, echo, {}, { perMessageDeflate: { threshold: 0 } })
  const client = await app.injectWebSocket('/')
  t.match(client.extensions, /permessage-deflate/)
  const stream = createWebSocketStream(client, { encoding: 'utf8' })
  stream.write('hello')
  t.equal((await once(stream, 'data'))[0], 'hello')
  stream.destroy()
})

t.test('the heartbeat and the close of the server reach it', async (t) => {
  const app = await newApp(t, echo, {}, { heartbeat: 1_500 })
  await app.listen({ port: 0 }) // keeps the process alive: neither the client nor the heartbeat does
  const client = await app.injectWebSocket('/')
  await once(client, 'ping')
  await once(client, 'ping')
  const end = once(client, 'close')
  await app.close()
  t.equal((await end)[0], 1001)
  await t.rejects(app.injectWebSocket('/'), { code: 'FST_ERR_WS_REFUSED', statusCode: 503 } as object as Error)
})

t.test('works while the server listens, and many at once', async (t) => {
  const app = await newApp(t, echo)
  await app.listen({ port: 0 })
  const clients = await Promise.all(Array.from({ length: 100 }, async () => await app.injectWebSocket('/')))
  t.equal(app.websockets.size, 100)
  app.websockets.broadcast('all')
  t.same((await Promise.all(clients.map(async (client) => await take(client, 1)))).flat(), Array(100).fill('all'))
})

t.test('is there on every child, before the server is ready and after', async (t) => {
  const children: FastifyInstance[] = []
  const app = await newApp(t, async (app) => {
    await app.register(async (child) => {
      child.websocketRoute('/', { schema: { send: { type: 'string' } }, onConnection (conn) { conn.sendMessage('child') } })
      child.get('/self', async () => (await take(await child.injectWebSocket('/v1'), 1))[0])
      children.push(child)
    }, { prefix: '/v1' })
  })
  for (const child of children) t.same(await take(await child.injectWebSocket('/v1'), 1), ['"child"'])
  t.equal((await app.inject('/v1/self')).body, '"child"')
})

t.test('is there where only a child has the plugin', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  let isReady = false
  app.addHook('onReady', async () => { isReady = true })
  await app.register(async (child) => {
    await child.register(websocket)
    echo(child)
    child.addHook('onReady', async () => { t.equal(app.hasDecorator('injectWebSocket'), false) })
    app.decorate('child', child)
  })
  await (app as unknown as { child: FastifyInstance }).child.injectWebSocket('/')
  t.ok(isReady)
})

t.test('an instance that never gets ready ends after the timeout, or with the signal', async (t) => {
  const app = Fastify({ pluginTimeout: 0 })
  await app.register(websocket)
  app.addHook('onReady', async () => { await new Promise(() => {}) })
  await t.rejects(app.injectWebSocket('/', { timeout: 20 }), { code: 'FST_ERR_WS_INJECT', message: /no answer within 20 ms/ } as object as Error)
  const controller = new AbortController()
  const waiting = app.injectWebSocket('/', { signal: controller.signal })
  controller.abort(new Error('the test is over'))
  await t.rejects(waiting, /the test is over/)
})

t.test('headers without a value are left out, and those that cannot be sent are an error', async (t) => {
  const seen: unknown[] = []
  const app = await newApp(t, (app) => {
    app.websocketRoute('/', { onHandshake (_conn, { headers }) { seen.push(headers.host, headers.authorization) } })
  })
  await app.injectWebSocket('/', { headers: { host: undefined, authorization: undefined } })
  t.same(seen, ['localhost', undefined])
  for (const headers of [{ a: 'b\r\nc: d' }, { 'a b': 'c' }]) {
    await t.rejects(app.injectWebSocket('/', { headers: headers as Record<string, string> }), { code: 'FST_ERR_WS_INJECT', cause: Error } as object as Error)
  }
})

t.test('what fails in onReady comes out', async (t) => {
  const app = Fastify()
  await app.register(websocket)
  app.addHook('onReady', async () => { throw new Error('not ready') })
  for (let i = 0; i < 2; i++) await t.rejects(app.injectWebSocket('/'), /not ready/)
})

t.test('refuses what it cannot use', async (t) => {
  const app = await newApp(t, echo) as unknown as { injectWebSocket (path?: unknown, options?: unknown): Promise<unknown> }
  const cases: Array<[unknown[], object]> = [
    [[], { code: 'FST_ERR_WS_OPTION_INVALID', message: 'The option "path" must be a string that begins with "/" and has no "#", got undefined' }],
    [['/#room'], { code: 'FST_ERR_WS_OPTION_INVALID', message: 'The option "path" must be a string that begins with "/" and has no "#", got \'/#room\'' }],
    [['room'], { code: 'FST_ERR_WS_OPTION_INVALID', message: /"path"/ }],
    [['/', null], { code: 'FST_ERR_WS_OPTION_INVALID', message: /"options"/ }],
    [['/', { header: {} }], { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /did you mean "headers"/ }],
    ...['headers', 'protocols', 'remoteAddress', 'signal', 'timeout'].map((name): [unknown[], object] => [['/', { [name]: 0 }], { code: 'FST_ERR_WS_OPTION_INVALID', message: new RegExp(`"${name}"`) }])
  ]
  for (const [args, error] of cases) await t.rejects(app.injectWebSocket(...args), error as Error, JSON.stringify(args))
})
