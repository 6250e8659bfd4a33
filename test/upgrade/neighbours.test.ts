// Others on the same server: they get what is theirs, in whatever order they and the plugin are registered.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, type Socket } from 'node:net'
import httpProxy from '@fastify/http-proxy'
import otherWebsocket from '@fastify/websocket'
import Fastify, { type FastifyInstance } from 'fastify'
import { Server as SocketIoServer } from 'socket.io'
import { io } from 'socket.io-client'
import t, { type Test } from 'tap'
import { createServer as createViteServer } from 'vite'
import { WebSocketServer } from 'ws'
import websocket from '../../index.ts'
import { startApp } from '../support/app.ts'
import { connect, connectRefused, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { isFastify } from '../support/fastify-version.ts'
import { handshake, openRaw, parseHead, RawClient } from '../support/raw.ts'

/** Runs a test for both orders; `addNeighbour` is called before or after the plugin and its route. */
async function inBothOrders (
  t: Test, addNeighbour: (app: FastifyInstance) => Promise<void>, check: (t: Test, started: { app: FastifyInstance, port: number, runs: string[] }) => Promise<void>
): Promise<void> {
  for (const isFirst of [true, false]) {
    await t.test(isFirst ? 'registered before' : 'registered after', async (t) => {
      const runs: string[] = []
      const { app, port } = await startApp(t, async (app) => {
        app.addHook('onRequest', async ({ url }) => { runs.push(url) })
        if (isFirst) await addNeighbour(app)
        await app.register(websocket)
        app.websocketRoute('/ours/:id', {
          onConnection (conn, request) { conn.send(`ours ${(request.params as { id: string }).id}`) },
          onMessage (conn, message) { conn.sendMessage(message) }
        })
        app.get('/plain', async () => 'plain')
        if (!isFirst) await addNeighbour(app)
      }, { withoutPlugin: true })
      await checkOurs(t, port)
      t.same(runs, ['/ours/1', '/plain'], 'every request has met the hooks once')
      runs.length = 0
      await check(t, { app, port, runs })
      await checkOurs(t, port)
    })
  }
}

async function checkOurs (t: Test, port: number): Promise<void> {
  const client = await openRaw(t, port, '/ours/1')
  const [frame] = await client.untilFrames(1)
  t.equal(String(frame?.payload), 'ours 1')
  client.socket.destroy()
  const response = await fetch(`http://127.0.0.1:${port}/plain`)
  t.equal(await response.text(), 'plain')
}

t.test('@fastify/websocket', async (t) => {
  await inBothOrders(t, async (app) => {
    await app.register(otherWebsocket)
    app.get('/theirs', { websocket: true }, (socket) => { socket.on('message', (data) => socket.send(`theirs ${String(data)}`)) })
  }, async (t, { port, runs }) => {
    const { socket } = await connect(t, `ws://127.0.0.1:${port}/theirs`)
    socket.send('hello')
    t.equal(await nextMessage(socket), 'theirs hello')
    t.same(runs, ['/theirs'])
    socket.terminate()
  })
})

t.test('@fastify/http-proxy with websocket: true', async (t) => {
  const upstream = createServer((_request, response) => response.end('upstream'))
  const wss = new WebSocketServer({ server: upstream })
  wss.on('connection', (socket, { url }) => socket.on('message', (data) => socket.send(`proxied ${url ?? ''} ${String(data)}`)))
  await once(upstream.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => { wss.close(); upstream.closeAllConnections(); upstream.close() })
  const target = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`

  await inBothOrders(t, async (app) => {
    await app.register(httpProxy, { upstream: target, prefix: '/proxied', websocket: true })
  }, async (t, { port, runs }) => {
    const { socket } = await connect(t, `ws://127.0.0.1:${port}/proxied/a`)
    socket.send('hello')
    t.equal(await nextMessage(socket), 'proxied /a hello')
    t.same(runs, ['/proxied/a'])
    t.equal(await (await fetch(`http://127.0.0.1:${port}/proxied/b`)).text(), 'upstream')
    socket.terminate()
  })
})

t.test('socket.io', async (t) => {
  await inBothOrders(t, async (app) => {
    const io = new SocketIoServer(app.server, { destroyUpgradeTimeout: 20 })
    io.on('connection', (socket) => socket.on('ask', (value: string, answer: (value: string) => void) => answer(`io ${value}`)))
    app.addHook('preClose', async () => { await io.close() })
  }, async (t, { port, app }) => {
    const client = io(`http://127.0.0.1:${port}`, { transports: ['websocket'], reconnection: false })
    t.teardown(() => client.disconnect())
    t.equal(await client.emitWithAck('ask', 'hello'), 'io hello')
    client.disconnect()
    t.equal(app.websockets.stats.accepted, 1, 'the one of ours')
  })
})

t.test('socket.io does not cut off a handshake that takes longer than it likes', async (t) => {
  const release = deferred()
  const { app, port } = await startApp(t, (app) => {
    const io = new SocketIoServer(app.server, { destroyUpgradeTimeout: 1 })
    app.addHook('preClose', async () => { await io.close() })
    app.websocketRoute('/slow', { onHandshake: () => release.promise, onConnection (conn) { conn.send('open') } })
  })
  const slow = await RawClient.connect(t, port)
  slow.write(handshake('/slow'))
  // It does cut off those that are nobody's.
  const stray = await RawClient.connect(t, port)
  stray.write(handshake('/stray'))
  t.equal((await stray.untilEnd()).length, 0)
  release.resolve()
  t.equal((await slow.head()).status, 101)
  t.equal(app.websockets.stats.accepted, 1)
})

t.test("vite's HMR", async (t) => {
  const root = t.testdir({ 'index.html': '<p>hello</p>' })
  await inBothOrders(t, async (app) => {
    const vite = await createViteServer({
      root, configFile: false, appType: 'custom', logLevel: 'silent', server: { middlewareMode: true, ws: { server: app.server }, watch: null }
    })
    app.addHook('preClose', async () => { await vite.close() })
  }, async (t, { port, runs }) => {
    const client = await openRaw(t, port, '/', { Host: 'localhost', 'Sec-WebSocket-Protocol': 'vite-hmr' })
    const [frame] = await client.untilFrames(1)
    t.same(JSON.parse(String(frame?.payload)), { type: 'connected' })
    t.same(runs, [])
    client.socket.destroy()
  })
})

t.test('a listener of the app gets what no route matches, by the rules of the router', async (t) => {
  const seen: string[] = []
  const { app, port } = await startApp(t, async (app) => {
    app.websocketRoute('/static', { onConnection () {} })
    app.websocketRoute('/params/:id', { onConnection () {} })
    app.websocketRoute('/wild/*', { onConnection () {} })
    app.websocketRoute('/number/:id(^\\d+$)', { onConnection () {} })
    app.websocketRoute('/host', { constraints: { host: 'ours.example' }, onConnection () {} })
    app.websocketRoute('/version', { constraints: { version: '1.2.0' }, onConnection () {} })
    app.websocketRoute('/both', { handler: async () => 'plain', onConnection () {} })
    app.get('/plain', async () => 'plain')
    app.register(async (child) => { child.websocketRoute('/', { onConnection () {} }) }, { prefix: '/prefix' })
    app.server.on('upgrade', ({ url = '' }: IncomingMessage, socket: Socket) => {
      seen.push(url)
      socket.end('HTTP/1.1 418 Theirs\r\n\r\n')
    })
  })
  const statusOf = async (path: string, headers: Record<string, string> = {}): Promise<number> => {
    const client = await RawClient.connect(t, port)
    client.write(handshake(path, headers))
    const { status } = await client.head()
    client.socket.destroy()
    return status
  }
  for (const path of ['/static', '/static?a=%zz', '/params/1', '/params/', '/params/%41', '/wild/a/b', '/number/12', '/both', '/prefix', '/prefix/', '/%73tatic']) {
    t.equal(await statusOf(path), 101, path)
  }
  t.equal(await statusOf('/host', { Host: 'ours.example' }), 101)
  t.equal(await statusOf('/version', { 'Accept-Version': '1.x' }), 101)
  const theirs = ['/', '/Static', '/static/', '//static', '/statics', '/params/1/2', '/number/x', '/host', '/version', '/plain', '/prefix/a', '/%zz']
  for (const path of theirs) t.equal(await statusOf(path), 418, path)
  t.same(seen, theirs)
  t.equal(app.websockets.stats.refused[404], undefined)
})

t.test('the rules are those that the server was given', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/Room/:id', { onConnection () {} })
    app.server.on('upgrade', (_request: IncomingMessage, socket: Socket) => { socket.end('HTTP/1.1 418 Theirs\r\n\r\n') })
  }, { server: { routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, maxParamLength: 5 } } })
  // A parameter that is too long is an answer of Fastify itself, before 5.9.0 that there is no such route.
  const tooLong = isFastify('5.9.0') ? 414 : 404
  for (const [path, status] of [['/room/1/', 101], ['//ROOM//1', 101], ['/room/123456', tooLong], ['/rooms', 418]] as const) {
    const client = await RawClient.connect(t, port)
    client.write(handshake(path))
    t.equal((await client.head()).status, status, path)
    client.socket.destroy()
  }
})

t.test('routes that only a constraint of the app tells apart are ours, and told apart by it', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.addConstraintStrategy({
      name: 'tenant',
      storage: () => new Map() as never,
      deriveConstraint: ({ headers }) => headers['x-tenant'] as string
    })
    for (const tenant of ['a', 'b']) {
      app.websocketRoute('/', { constraints: { tenant }, onConnection (conn) { conn.send(tenant) } })
    }
    app.server.on('upgrade', (_request: IncomingMessage, socket: Socket) => { socket.end('HTTP/1.1 418 Theirs\r\n\r\n') })
  })
  for (const tenant of ['a', 'b']) {
    const client = await openRaw(t, port, '/', { 'X-Tenant': tenant })
    t.equal(String((await client.untilFrames(1))[0]?.payload), tenant)
    client.socket.destroy()
  }
  const client = await RawClient.connect(t, port)
  client.write(handshake('/', { 'X-Tenant': 'c' }))
  t.equal((await client.head()).status, 404)
})

const tenant = { name: 'tenant', storage: () => new Map() as never, deriveConstraint: ({ headers }: IncomingMessage) => headers['x-tenant'] as string }
const theirs = (_request: IncomingMessage, socket: Socket): void => { socket.end('HTTP/1.1 418 Theirs\r\n\r\n') }

async function statusOf (t: Test, port: number, path: string, headers: Record<string, string> = {}): Promise<number> {
  const client = await RawClient.connect(t, port)
  client.write(handshake(path, headers))
  const { status } = await client.head()
  client.socket.destroy()
  return status
}

t.test('takes any two routes that Fastify takes, and both are ours', async (t) => {
  type Declare = (app: FastifyInstance, path: string, tenant: string, options?: object) => void
  const declare: Declare = (app, path, tenant, options) => { app.websocketRoute(path, { constraints: { tenant }, onConnection () {}, ...options }) }
  const cases: Record<string, { router?: object, build: (app: FastifyInstance) => unknown, ours: Array<[path: string, tenant: string]>, theirs?: string[] }> = {
    'one path by a prefix and without': {
      build: async (app) => {
        declare(app, '/a/b', 'x')
        await app.register(async (child) => { declare(child, '/b', 'y') }, { prefix: '/a' })
      },
      ours: [['/a/b', 'x'], ['/a/b', 'y']]
    },
    'upper and lower case': { router: { caseSensitive: false }, build: (app) => { declare(app, '/Room', 'x'); declare(app, '/room', 'y') }, ours: [['/ROOM', 'x'], ['/room', 'y']] },
    'a slash at the end': { router: { ignoreTrailingSlash: true }, build: (app) => { declare(app, '/room', 'x'); declare(app, '/room/', 'y') }, ours: [['/room', 'x'], ['/room', 'y']] },
    'an optional parameter': { build: (app) => { declare(app, '/a/:b?', 'x'); declare(app, '/a', 'y') }, ours: [['/a', 'x'], ['/a/1', 'x'], ['/a', 'y']], theirs: ['/'] },
    'an optional parameter, the other way round': { build: (app) => { declare(app, '/a/:b', 'x'); declare(app, '/a/:b?', 'y') }, ours: [['/a/1', 'x'], ['/a', 'y'], ['/a/1', 'y']] },
    'an optional parameter at the root': { build: (app) => { declare(app, '/:b?', 'x') }, ours: [['/', 'x'], ['/1', 'x']], theirs: ['/1/2'] },
    'an optional parameter at the root of a prefix': {
      build: async (app) => { await app.register(async (child) => { declare(child, '/:b?', 'x') }, { prefix: '/p' }) },
      ours: [['/p', 'x'], ['/p/1', 'x']],
      theirs: ['/']
    },
    'names of a parameter': { build: (app) => { declare(app, '/:a', 'x'); declare(app, '/:b', 'y') }, ours: [['/1', 'x'], ['/1', 'y']] },
    'a prefix with and without its slash': {
      build: async (app) => {
        await app.register(async (child) => {
          declare(child, '/', 'x', { prefixTrailingSlash: 'no-slash' })
          declare(child, '/', 'y')
        }, { prefix: '/p' })
      },
      ours: [['/p', 'x'], ['/p', 'y'], ['/p/', 'y']]
    },
    'a prefix by each of its slashes': {
      build: async (app) => {
        await app.register(async (child) => { for (const prefixTrailingSlash of ['slash', 'no-slash']) declare(child, '/', 'x', { prefixTrailingSlash }) }, { prefix: '/p' })
      },
      ours: [['/p', 'x'], ['/p/', 'x']]
    }
  }
  for (const [name, { router, build, ours, theirs: notOurs = [] }] of Object.entries(cases)) {
    const { port } = await startApp(t, async (app) => {
      app.addConstraintStrategy(tenant)
      await build(app)
      app.server.on('upgrade', theirs)
    }, { server: { routerOptions: router ?? {} } })
    for (const [path, value] of ours) t.equal(await statusOf(t, port, path, { 'X-Tenant': value }), 101, `${name}: ${path} of ${value}`)
    for (const path of notOurs) t.equal(await statusOf(t, port, path), 418, `${name}: ${path}`)
  }
})

t.test('the options of the router count wherever they stand', async (t) => {
  const cases: Array<[server: object, ours: string[], theirs: string[]]> = [
    [{}, ['/Room', '/Room?a'], ['/room', '/Room/', '//Room', '/Room;a']],
    [{ caseSensitive: false }, ['/ROOM'], ['/Room/']],
    [{ ignoreTrailingSlash: true, routerOptions: { caseSensitive: false } }, ['/room/'], ['//room']],
    [{ routerOptions: { ignoreDuplicateSlashes: true } }, ['//Room'], ['/room']],
    [{ routerOptions: { useSemicolonDelimiter: true } }, ['/Room;a'], ['/room;a']],
    [{ useSemicolonDelimiter: true }, ['/Room;a'], ['/room;a']]
  ]
  t.capture(process, 'emitWarning') // Fastify 5 takes them at the top too, and warns.
  for (const [server, ours, notOurs] of cases) {
    const { port } = await startApp(t, (app) => {
      app.websocketRoute('/Room', { onConnection () {} })
      app.server.on('upgrade', theirs)
    }, { server })
    for (const path of ours) t.equal(await statusOf(t, port, path), 101, `${JSON.stringify(server)}: ${path}`)
    for (const path of notOurs) t.equal(await statusOf(t, port, path), 418, `${JSON.stringify(server)}: ${path}`)
  }
})

t.test('a path without a slash at the root of a prefix is one path', async (t) => {
  const { port } = await startApp(t, async (app) => {
    await app.register(async (child) => { child.websocketRoute('', { onConnection () {} }) }, { prefix: '/p' })
    app.server.on('upgrade', theirs)
  })
  t.same([await statusOf(t, port, '/p'), await statusOf(t, port, '/p/')], [101, 418])
})

t.test('host and version tell paths of ours apart when the plugin has seen who used them first', async (t) => {
  const plain = (app: FastifyInstance): void => {
    app.get('/plain', { constraints: { version: '1.0.0' } }, async () => 'plain')
    app.get('/plain', { constraints: { host: 'plain.example' } }, async () => 'plain')
  }
  for (const isFirst of [true, false]) {
    const { port } = await startApp(t, async (app) => {
      if (!isFirst) plain(app)
      await app.register(websocket)
      if (isFirst) plain(app)
      app.websocketRoute('/host', { constraints: { host: /^[a-z]\.example$/ }, onConnection () {} })
      app.websocketRoute('/', { onConnection () {} })
      app.server.on('upgrade', theirs)
    }, { withoutPlugin: true })
    // Otherwise the path alone counts, and Fastify says that there is no such route.
    const other = isFirst ? 418 : 404
    t.equal(await statusOf(t, port, '/host', { Host: 'a.example' }), 101)
    t.equal(await statusOf(t, port, '/host', { Host: 'other.example' }), other)
    t.equal(await statusOf(t, port, '/', { 'Accept-Version': '1.0.0' }), other)
    t.equal(await statusOf(t, port, '/'), 101)
    t.equal(await statusOf(t, port, '/none'), 418)
  }
})

t.test('Accept-Version is nothing to a server without versions', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onConnection () {} })
    app.server.on('upgrade', theirs)
  })
  t.equal(await statusOf(t, port, '/', { 'Accept-Version': '1.0.0' }), 101)
})

t.test("strategies of the app in the place of the router's tell routes apart, and what they ask is not asked twice", async (t) => {
  const strategy = (name: string, header: string) => ({ ...tenant, name, mustMatchWhenDerived: true, deriveConstraint: ({ headers }: IncomingMessage) => headers[header] as string })
  for (const [name, header, standard] of [['version', 'x-version', 'Accept-Version'], ['host', 'x-host', 'X-None']] as const) {
    for (const way of ['routerOptions', 'addConstraintStrategy']) {
      const { port } = await startApp(t, (app) => {
        if (way === 'addConstraintStrategy') app.addConstraintStrategy(strategy(name, header))
        app.websocketRoute('/', { constraints: { [name]: '1.0.0' }, onConnection () {} })
        app.server.on('upgrade', theirs)
      }, { server: way === 'routerOptions' ? { routerOptions: { constraints: { [name]: strategy(name, header) } } } : {} })
      t.equal(await statusOf(t, port, '/', { [header]: '1.0.0' }), 101, `${name} by ${way}`)
      t.equal(await statusOf(t, port, '/', { [header]: '1.0.0', [standard]: '7.0.0' }), 101, `${name} by ${way}, and what the router would have asked`)
      t.equal(await statusOf(t, port, '/none', { [header]: '1.0.0' }), 418)
    }
  }
})

t.test('where nobody else listens, a path that no route matches goes to the not-found handler', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.setNotFoundHandler((_request, reply) => reply.code(404).send({ mine: true }))
    app.websocketRoute('/', { onConnection () {} })
  })
  t.match(await connectRefused(t, `ws://127.0.0.1:${port}/nope`), { status: 404, body: '{"mine":true}' })
})

t.test('does not change an answer of plain HTTP', async (t) => {
  const routes = (app: FastifyInstance): void => {
    app.get('/', async () => ({ a: 1 }))
    app.post('/', async ({ body }) => body)
    app.get('/error', async () => { throw new Error('no') })
    app.options('/', async () => 'options')
  }
  const [with_, without] = [await startApp(t, (app) => { routes(app); app.websocketRoute('/ws', { onConnection () {} }) }), await startApp(t, routes, { withoutPlugin: true })]
  const ask = async (port: number, request: string): Promise<string> => {
    const client = await RawClient.connect(t, port)
    client.write(request)
    return (await client.untilEnd()).toString().replace(/Date: .*|date: .*/g, '')
  }
  for (const request of [
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.0\r\n\r\n',
    'GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'GET /error HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n',
    'OPTIONS / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: TLS/1.0, h2c\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 7\r\nConnection: close\r\n\r\n{"a":1}',
    'GET / HTTP/1.1\r\n\r\n',
    'nonsense\r\n\r\n'
  ]) {
    t.equal(await ask(with_.port, request), await ask(without.port, request), request.split('\r\n', 1)[0] ?? '')
  }
})

t.test('takes handshakes on further servers, and leaves their plain requests alone', async (t) => {
  const server = createServer((_request, response) => response.end('further'))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const furtherPort = (server.address() as AddressInfo).port
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onConnection (conn, request) { conn.send(String(request.socket.localPort)) } })
  }, { plugin: { servers: [server], closeTimeout: 100 } })
  for (const at of [port, furtherPort]) {
    const client = await openRaw(t, at)
    t.equal(String((await client.untilFrames(1))[0]?.payload), String(at))
  }
  t.equal(app.websockets.size, 2)
  t.equal(await (await fetch(`http://127.0.0.1:${furtherPort}/`)).text(), 'further')
  const upgrade = await RawClient.connect(t, furtherPort)
  upgrade.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')
  t.match((await upgrade.until((bytes) => bytes.includes('further'))).toString(), /^HTTP\/1\.1 200/)
  t.equal((await connectRefused(t, `ws://127.0.0.1:${furtherPort}/none`)).status, 404)
  const { socket } = await connect(t, `ws://127.0.0.1:${furtherPort}/`)
  const closing = once(socket, 'close')
  await app.close()
  t.equal((await closing)[0], 1001)
  t.equal(server.listening, true)
  const late = await RawClient.connect(t, furtherPort)
  late.write(handshake('/', { Connection: 'close, Upgrade' }))
  t.match(parseHead(await late.untilEnd()), { status: 200, body: 'further' }, 'the server is its own again')
})

t.test('two apps cannot share a server', async (t) => {
  const shared = createServer()
  const { app } = await startApp(t, (app) => { app.websocketRoute('/', { onConnection () {} }) }, { plugin: { servers: [shared] } })
  const error = { code: 'FST_ERR_WS_SERVER_TAKEN', message: /servers of its own/ }
  for (const plugin of [{ servers: [shared] }, { servers: [createServer(), app.server as Server] }]) {
    await t.rejects(startApp(t, () => {}, { plugin }), error)
  }
  const factory = Fastify({ serverFactory: () => shared })
  await t.rejects(async () => await factory.register(websocket), error)
})

t.test('two apps on servers of their own do not see each other', async (t) => {
  const apps = await Promise.all(['a', 'b'].map(async (name) => await startApp(t, (app) => {
    app.websocketRoute(`/${name}`, { onConnection () {} })
  })))
  const [a, b] = apps
  await connect(t, `ws://127.0.0.1:${a?.port ?? 0}/a`)
  t.same([a?.app.websockets.size, b?.app.websockets.size], [1, 0])
  t.equal((await connectRefused(t, `ws://127.0.0.1:${b?.port ?? 0}/a`)).status, 404)
})
