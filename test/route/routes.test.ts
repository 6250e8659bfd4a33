// A WebSocket route beside all that Fastify has for routes.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import Fastify, { type FastifyInstance, type RouteOptions } from 'fastify'
import t from 'tap'
import { createWebSocketStream } from 'ws'
import websocket, { type WebSocketConnection } from '../../index.ts'
import { startApp } from '../support/app.ts'
import { connect, connectRefused, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { handshake, maskedFrame, openRaw, RawClient } from '../support/raw.ts'

// Sends text as soon as the connection is open.
const greet = (text: string) => ({ onConnection (conn: { send (data: string): void }) { conn.send(text) } })

async function greeting (t: Parameters<typeof connect>[0], url: string, options?: Parameters<typeof connect>[3]): Promise<string> {
  const { WebSocket } = await import('ws')
  const socket = new WebSocket(url, options)
  t.teardown(() => socket.terminate())
  return await nextMessage(socket)
}

t.test('returns the instance', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket)
  t.equal(app.websocketRoute('/', { onConnection () {} }).websocketRoute('/2', { onConnection () {} }), app)
})

t.test('has prefixes, parameters and wildcards', async (t) => {
  const { port } = await startApp(t, async (app) => {
    await app.register(async (child) => {
      child.websocketRoute('/', greet('root'))
      child.websocketRoute('/rooms/:room', { onConnection (conn, request) { conn.send(`room ${(request.params as { room: string }).room}`) } })
      child.websocketRoute('/files/*', { onConnection (conn, request) { conn.send(`file ${(request.params as { '*': string })['*']}`) } })
      child.websocketRoute('/:n(^\\d+$)', greet('number'))
    }, { prefix: '/v1' })
    await app.register(async (child) => { child.websocketRoute('/', { ...greet('slash'), prefixTrailingSlash: 'slash' }) }, { prefix: '/v2' })
  })
  const url = `ws://127.0.0.1:${port}`
  t.equal(await greeting(t, `${url}/v1`), 'root')
  t.equal(await greeting(t, `${url}/v1/`), 'root')
  t.equal(await greeting(t, `${url}/v1/rooms/a%20b`), 'room a b')
  t.equal(await greeting(t, `${url}/v1/files/x/y?z=1`), 'file x/y')
  t.equal(await greeting(t, `${url}/v1/42`), 'number')
  t.equal(await greeting(t, `${url}/v2/`), 'slash')
  t.equal((await connectRefused(t, `${url}/v2`)).status, 404)
  t.equal((await connectRefused(t, `${url}/v1/word`)).status, 404)
})

t.test('binds this to the encapsulated instance, with its decorators', async (t) => {
  const { port } = await startApp(t, async (app) => {
    await app.register(async (child) => {
      child.decorate('who', 'child').decorateRequest('mark', '')
      child.addHook('onRequest', async (request) => { (request as unknown as { mark: string }).mark = 'marked' })
      child.websocketRoute('/', {
        onHandshake (conn) {
          t.equal(this, child)
          conn.acceptWith({ headers: { 'x-who': (this as unknown as { who: string }).who } })
        },
        onConnection (conn, request) {
          t.equal(this, child)
          conn.send((request as unknown as { mark: string }).mark)
        }
      })
    })
  })
  t.equal(await greeting(t, `ws://127.0.0.1:${port}/`), 'marked')
})

t.test('shows itself, and all that is made for it, to onRoute hooks with websocketRoute: true and its config', async (t) => {
  const seen: RouteOptions[] = []
  await startApp(t, (app) => {
    app.addHook('onRoute', (options) => { seen.push(options) })
    app.get('/plain', async () => {})
    app.websocketRoute('/ws', { onConnection () {}, config: { mine: 1 } as object, logLevel: 'warn' })
    app.websocketRoute('/both', { onConnection () {}, config: { mine: 2 } as object, handler: async () => 'plain' })
  })
  const facts = seen.map(({ method, url, websocketRoute, config }) => [method, url, websocketRoute, (config as unknown as { mine?: number } | undefined)?.mine])
  const others = ['HEAD', 'TRACE', 'DELETE', 'OPTIONS', 'PATCH', 'PUT', 'POST']
  t.same(facts.map(([method, ...rest]) => [Array.isArray(method) ? method.filter((name) => others.includes(name)) : method, ...rest]), [
    ['GET', '/plain', undefined, undefined],
    ['HEAD', '/plain', undefined, undefined],
    ['GET', '/ws', true, 1],
    ['HEAD', '/ws', true, 1],
    [others, '/ws', true, 1],
    ['GET', '/both', true, 2],
    // The application's own.
    ['GET', '/both', undefined, 2],
    ['HEAD', '/both', undefined, 2],
    [others, '/both', true, 2]
  ])
  t.equal(seen[2]?.logLevel, 'warn')
})

// How plugins add a hook in onRoute; the first one is @fastify/rate-limit's.
const additions: Record<string, (given: unknown, hook: unknown) => unknown> = {
  'pushes into a list, or makes one' (given, hook) {
    if (!Array.isArray(given)) return given === undefined ? hook : [given, hook]
    given.push(hook)
    return given
  },
  'puts it in front' (given, hook) {
    if (!Array.isArray(given)) return given === undefined ? [hook] : [hook, given]
    given.unshift(hook)
    return given
  },
  'makes a new list': (given, hook) => [given ?? [], hook].flat()
}
const given: Record<string, () => object> = {
  none: () => ({}),
  functions: () => Object.fromEntries(ADDED.map((name) => [name, async () => {}])),
  lists: () => Object.fromEntries(ADDED.map((name) => [name, [async () => {}, async () => {}]]))
}
const ADDED = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'onSend', 'onResponse'] as const

for (const [way, add] of Object.entries(additions)) {
  t.test(`a hook that an onRoute hook adds runs once for each request: it ${way}`, async (t) => {
    for (const [kind, hooks] of Object.entries(given)) {
      const runs: string[] = []
      const { port } = await startApp(t, async (app) => {
        const isPluginFirst = kind === 'none'
        if (isPluginFirst) await app.register(websocket)
        app.addHook('onRoute', (options) => {
          for (const name of ADDED) options[name] = add(options[name], async ({ method }: { method: string }) => { runs.push(`${method} ${name}`) }) as never
        })
        if (!isPluginFirst) await app.register(websocket)
        const options = hooks()
        const lengths = (): number[] => Object.values(options).map((hook) => [hook].flat().length)
        const before = lengths()
        app.websocketRoute('/only', { ...options, onConnection () {} })
        app.websocketRoute('/both', { ...options, onConnection () {}, handler: async () => 'plain' })
        await app.register(async (child) => { child.websocketRoute('/', { ...options, onConnection () {} }) }, { prefix: '/root' })
        t.same(lengths(), before, 'the own lists of the application are as they were')
      }, { withoutPlugin: true })
      for (const path of ['/only', '/both', '/root', '/root/']) {
        const client = await RawClient.connect(t, port)
        client.write(handshake(path))
        t.equal((await client.head()).status, 101)
        t.same(runs.toSorted(), ADDED.map((name) => `GET ${name}`).toSorted(), `${kind}: a handshake at ${path}`)
        runs.length = 0
        client.socket.destroy()
      }
      const refused = await RawClient.connect(t, port)
      refused.write(handshake('/only', {}, 'PUT /only HTTP/1.1'))
      t.equal((await refused.wholeResponse()).status, 405)
      t.equal(new Set(runs).size, runs.length, `${kind}: a handshake that is no GET`)
      for (const method of ['GET', 'HEAD']) {
        runs.length = 0
        await (await fetch(`http://127.0.0.1:${port}/both`, { method })).text()
        t.same(runs.toSorted(), ADDED.map((name) => `${method} ${name}`).toSorted(), `${kind}: a plain ${method}`)
      }
      runs.length = 0
    }
  })
}

t.test('a wrapper around route() may set the hooks of a route, or add to them', async (t) => {
  const runs: string[] = []
  const { port } = await startApp(t, (app) => {
    const { route } = app
    app.route = function (this: FastifyInstance, options: RouteOptions) {
      options.onRequest = [...[options.onRequest ?? []].flat(), async ({ method }) => { runs.push(method) }]
      return Reflect.apply(route, this, [options])
    } as typeof route
    app.websocketRoute('/', { onRequest: [async () => {}], onConnection () {} })
  })
  t.equal((await connect(t, `ws://127.0.0.1:${port}/`)).status, 101)
  t.same(runs, ['GET'])
})

t.test('takes hooks, config and options of the route, and the hooks that onRoute adds', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.addHook('onRoute', (options) => {
      if (options.websocketRoute === true) options.preHandler = [async (_request, reply) => { reply.header('x-added', 'by onRoute') }]
    })
    app.websocketRoute('/', {
      config: { word: 'configured' } as object,
      onRequest: [async (_request, reply) => { reply.header('x-one', '1') }, async (_request, reply) => { reply.header('x-two', '2') }],
      onHandshake (conn, request) { conn.acceptWith({ headers: { 'x-config': (request.routeOptions.config as unknown as { word: string }).word } }) }
    })
  })
  t.match((await connect(t, `ws://127.0.0.1:${port}/`)).headers, { 'x-added': 'by onRoute', 'x-one': '1', 'x-two': '2', 'x-config': 'configured' })
})

t.test('validates params, query and headers, and coerces them', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/:n', {
      schema: {
        params: { type: 'object', properties: { n: { type: 'integer' } } },
        querystring: { type: 'object', properties: { q: { type: 'boolean' } } },
        headers: { type: 'object', required: ['X-Token'], properties: { 'X-Token': { type: 'string', minLength: 2 } } }
      },
      onConnection (conn, request) { conn.send(JSON.stringify([request.params, request.query, request.headers['x-token']])) }
    })
  })
  const headers = { 'x-token': 'ab' }
  t.equal(await greeting(t, `ws://127.0.0.1:${port}/7?q=true`, { headers }), '[{"n":7},{"q":true},"ab"]')
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/x`, [], { headers })).status, 400)
  t.match((await connectRefused(t, `ws://127.0.0.1:${port}/7?q=maybe`, [], { headers })).body, /FST_ERR_VALIDATION.*querystring\/q must be boolean/)
  t.match((await connectRefused(t, `ws://127.0.0.1:${port}/7`)).body, /headers must have required property 'x-token'/)
})

t.test('serves plain HTTP on the same path with handler, without the time-out of the handshake', async (t) => {
  const timeouts: number[] = []
  const { port } = await startApp(t, (app) => {
    app.addHook('onRequest', async (request) => { timeouts.push(request.routeOptions.handlerTimeout) })
    app.websocketRoute('/', { ...greet('hello'), handler: async () => ({ plain: 'answer' }) })
    app.websocketRoute('/slow', { ...greet('slow'), handshakeTimeout: 40, async handler () { await new Promise((resolve) => setTimeout(resolve, 80)); return 'slow' } })
    app.websocketRoute('/limited', { ...greet('limited'), handlerTimeout: 30, handler: () => {} })
  })
  const url = `http://127.0.0.1:${port}`
  t.same(await (await fetch(url)).json(), { plain: 'answer' })
  t.equal((await fetch(url, { method: 'HEAD' })).status, 200)
  t.equal(await greeting(t, `ws://127.0.0.1:${port}/`), 'hello')
  t.same(timeouts, [0, 0, 0])
  t.equal(await (await fetch(`${url}/slow`)).text(), 'slow')
  t.equal((await fetch(`${url}/limited`)).status, 503)
  t.equal(await greeting(t, `ws://127.0.0.1:${port}/limited`), 'limited')
})

t.test('lives beside routes on the same path with other constraints or methods', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { ...greet('ws a'), constraints: { host: 'a.example' } })
    app.websocketRoute('/', { ...greet('ws v2'), constraints: { version: '2.0.0' } })
    app.get('/', { constraints: { host: 'b.example' } }, async () => 'plain b')
    app.post('/', async () => 'posted')
  })
  const url = `ws://127.0.0.1:${port}/`
  t.equal(await greeting(t, url, { headers: { host: 'a.example' } }), 'ws a')
  t.equal(await greeting(t, url, { headers: { host: 'c.example', 'accept-version': '2.x' } }), 'ws v2')
  const plain = await connectRefused(t, url, [], { headers: { host: 'b.example' } })
  t.same([plain.status, plain.body], [200, 'plain b'])
  t.equal((await connectRefused(t, url, [], { headers: { host: 'c.example' } })).status, 404)
  t.equal(await (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST' })).text(), 'posted')
})

t.test('works with asynchronous constraints and a router without case', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.addConstraintStrategy({
      name: 'tenant',
      storage () {
        return new Map()
      },
      deriveConstraint: (request: { headers: Record<string, unknown> }, _context: unknown, done: (error: null, value: unknown) => void) => {
        setImmediate(done, null, request.headers['x-tenant'])
      }
    } as never)
    app.websocketRoute('/Path', { ...greet('tenant'), constraints: { tenant: 'one' } })
  }, { server: { routerOptions: { caseSensitive: false, ignoreTrailingSlash: true } } })
  t.equal(await greeting(t, `ws://127.0.0.1:${port}/pATH/`, { headers: { 'x-tenant': 'one' } }), 'tenant')
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/path`, [], { headers: { 'x-tenant': 'two' } })).status, 404)
})

t.test('keeps the options of one route from another', async (t) => {
  const limit = async (path: string): Promise<number> => {
    const { socket } = await connect(t, `ws://127.0.0.1:${port}${path}`)
    const code = new Promise<number>((resolve) => socket.once('close', resolve))
    const answer = new Promise<number>((resolve) => socket.once('message', () => resolve(0)))
    socket.send('x'.repeat(100))
    return await Promise.race([code, answer])
  }
  const echo = { onConnection (conn: { on (name: 'message', listener: (data: Buffer) => void): void, send (data: Buffer): void }) { conn.on('message', (data) => conn.send(data)) } }
  const { port } = await startApp(t, async (app) => {
    app.websocketRoute('/plugin', echo)
    app.websocketRoute('/route', { ...echo, maxPayload: 1000 })
    app.websocketRoute('/body-limit', { ...echo, bodyLimit: 99 })
  }, { plugin: { maxPayload: 99 } })
  t.equal(await limit('/plugin'), 1009)
  t.equal(await limit('/route'), 0)
  t.equal(await limit('/body-limit'), 1009)
})

t.test('limits messages to the bodyLimit of the server, and fragments to maxFragments', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onConnection (conn) { conn.on('message', (data) => conn.send(data)) } })
    app.websocketRoute('/few', { maxFragments: 2, onConnection (conn) { conn.on('message', (data) => conn.send(data)) } })
  }, { server: { bodyLimit: 500 } })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.send('x'.repeat(501))
  t.equal((await new Promise((resolve) => socket.once('close', resolve))), 1009)
  const few = (await connect(t, `ws://127.0.0.1:${port}/few`)).socket
  few.send('1', { fin: false })
  few.send('2', { fin: false })
  few.send('3', { fin: true })
  t.equal((await new Promise((resolve) => few.once('close', resolve))), 1008)
})

t.test('a bodyLimit that ws cannot count to is the longest message that it can', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/server', { onMessage (conn, message) { conn.sendMessage(message) } })
    app.websocketRoute('/route', { bodyLimit: 2 ** 32 + 1, onMessage (conn, message) { conn.sendMessage(message) } })
  }, { server: { bodyLimit: 2 ** 32 + 1 } })
  for (const path of ['/server', '/route']) {
    const { socket } = await connect(t, `ws://127.0.0.1:${port}${path}`)
    socket.send('hello')
    t.equal(await nextMessage(socket), 'hello')
  }
})

t.test('a message may have one fragment for 128 bytes of maxPayload, and 1024 at least', async (t) => {
  const { port } = await startApp(t, (app) => {
    const echo = { onMessage: (conn: WebSocketConnection, message: string | Buffer) => { conn.send(String(message.length)) } }
    app.websocketRoute('/short', { ...echo, maxPayload: 2_000 })
    app.websocketRoute('/long', { ...echo, maxPayload: 128 * 2_000 })
    app.websocketRoute('/given', { ...echo, maxPayload: 128 * 2_000, maxFragments: 3 })
  })
  for (const [path, most] of [['/short', 1024], ['/long', 2_000], ['/given', 3]] as const) {
    const { socket } = await connect(t, `ws://127.0.0.1:${port}${path}`)
    const send = (count: number): void => { for (let i = 1; i <= count; i++) socket.send('x', { fin: i === count }) }
    send(most)
    t.equal(await nextMessage(socket), String(most))
    send(most + 1)
    t.equal((await once(socket, 'close'))[0], 1008, path)
  }
})

t.test('a message may come in one piece for 128 bytes of maxPayload, and in 1024 at least', async (t) => {
  const connected: Socket[] = []
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/short', { maxPayload: 2_000, onMessage (conn, message) { conn.send(String(message.length)) } })
    app.websocketRoute('/long', { maxPayload: 128 * 1_200, onMessage (conn, message) { conn.send(String(message.length)) } })
  })
  app.server.on('connection', (socket: Socket) => connected.push(socket))
  for (const [path, most] of [['/short', 1024], ['/long', 1_200]] as const) {
    for (const count of [most, most + 1]) {
      const client = await openRaw(t, port, path)
      const socket = connected.at(-1) as Socket
      client.socket.setNoDelay()
      const frame = maskedFrame(0x82, Buffer.alloc(count + 200))
      const head = frame.length - count - 200
      const send = async (part: Buffer): Promise<void> => {
        const before = socket.bytesRead
        client.write(part)
        while (socket.bytesRead < before + part.length && !socket.destroyed) await new Promise(setImmediate)
      }
      await send(frame.subarray(0, head))
      for (let i = 0; i < count - 1; i++) await send(frame.subarray(head + i, head + i + 1))
      client.write(frame.subarray(head + count - 1))
      await client.untilFrames(1)
      t.match(client.frames[0]?.first, count > most ? 0x88 : 0x81, `${path}: ${count} pieces`)
      client.socket.destroy()
    }
  }
})

t.test('checks that text is UTF-8, unless it is told not to', async (t) => {
  const onConnection = (conn: WebSocketConnection): void => { conn.on('message', (data) => conn.send(`${(data as Buffer).length} bytes`)) }
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/checked', { onConnection })
    app.websocketRoute('/trusted', { onConnection, skipUTF8Validation: true })
  })
  const send = async (path: string): Promise<RawClient> => {
    const client = await RawClient.connect(t, port)
    client.write(handshake(path))
    await client.head()
    client.write(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0xff]))
    return client
  }
  t.equal((await (await send('/checked')).wholeResponse()).rest.readUInt16BE(2), 1007)
  await (await send('/trusted')).until((bytes) => bytes.includes('1 bytes'))
})

t.test('has the log level and the serializer compiler of the route', async (t) => {
  const { port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      logLevel: 'error',
      schema: { response: { 401: { type: 'object' } } },
      serializerCompiler: () => (data) => `<${JSON.stringify(data)}>`,
      onHandshake (conn) { conn.reject({ code: 401, body: { no: 1 } }) }
    })
  })
  logs.length = 0
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/`)).body, '<{"no":1}>')
  t.same(logs, [])
})

t.test('negotiates permessage-deflate where it is on', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { perMessageDeflate: { threshold: 0 }, onConnection (conn) { conn.on('message', (data) => conn.send(data)) } })
  })
  const { socket, headers } = await connect(t, `ws://127.0.0.1:${port}/`)
  t.match(headers['sec-websocket-extensions'], /^permessage-deflate/)
  socket.send('squeeze me')
  t.equal(await nextMessage(socket), 'squeeze me')
})

t.test('gives a connection that createWebSocketStream and async listeners take', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onConnection (conn) {
        const stream = createWebSocketStream(conn)
        stream.pipe(stream)
        stream.on('error', () => {})
      }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.send('through the stream')
  t.equal(await nextMessage(socket), 'through the stream')
})

t.test('does not resume a connection that onConnection has paused', async (t) => {
  const paused = deferred<{ resume (): void, isPaused: boolean }>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onConnection (conn) {
        conn.pause()
        conn.on('message', (data) => conn.send(data))
        setImmediate(() => paused.resolve(conn))
      }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.send('wait')
  const conn = await paused.promise
  t.equal(conn.isPaused, true)
  conn.resume()
  t.equal(await nextMessage(socket), 'wait')
})

t.test('a resume inside onConnection does not lose what comes before a listener', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      async onConnection (conn) {
        conn.resume()
        await new Promise((resolve) => setTimeout(resolve, 30))
        conn.on('message', (data) => conn.send(data))
      }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.send('kept')
  t.equal(await nextMessage(socket), 'kept')
})

t.test('a peer that breaks the protocol does not end the process', async (t) => {
  const { port, logs } = await startApp(t, (app) => { app.websocketRoute('/', { onConnection () {} }) })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/'))
  await client.head()
  client.write(Buffer.from([0xff, 0xff, 0xff]))
  const { rest } = await client.wholeResponse()
  t.equal(rest.readUInt16BE(2), 1002)
  t.match(logs.find(({ msg }) => msg === 'WebSocket error'), { level: 20, connId: Number })
})

t.test('is 426 to inject, which has no upgrade', async (t) => {
  const app: FastifyInstance = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket)
  app.websocketRoute('/', { onConnection () {} })
  const response = await app.inject({ url: '/', headers: { connection: 'upgrade', upgrade: 'websocket' } })
  t.equal(response.statusCode, 426)
})

t.test('is 426 without Upgrade over HTTP/2, which has no such field', async (t) => {
  const http2 = await import('node:http2')
  const app = Fastify({ http2: true })
  t.teardown(() => app.close())
  await app.register(websocket)
  app.websocketRoute('/', { onConnection () {} })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const session = http2.connect(app.listeningOrigin)
  const stream = session.request({ ':path': '/' })
  const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve))
  t.equal(headers[':status'], 426)
  session.destroy()
})
