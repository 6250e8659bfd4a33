// When the plugin answers the handshakes of a server: from its registration to the close of its app, and for as long only.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { restartable } from '@fastify/restartable'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import websocket from '../../index.ts'
import { startApp } from '../support/app.ts'
import { closed, connect, connectRefused } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { handshake, openRaw, parseHead, RawClient } from '../support/raw.ts'

async function listen (t: Test, server: Server = createServer((_request, response) => response.end('its own'))): Promise<{ server: Server, port: number }> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return { server, port: (server.address() as AddressInfo).port }
}

/** All listeners of a server, and whether it has an emit() of its own. */
function stateOf (server: Server): object {
  return { emit: Object.getOwnPropertyDescriptor(server, 'emit'), listeners: server.eventNames().map((name) => [name, server.listeners(name)]) }
}

/** An app on a server that is there already; its name comes as the first message. */
async function createApp (t: Test, server: Server, name: string): Promise<FastifyInstance> {
  const app = Fastify({ serverFactory: (handler) => server.on('request', handler) as ReturnType<typeof createServer> })
  t.teardown(() => app.close())
  await app.register(websocket, { closeTimeout: 50 })
  app.websocketRoute('/', { onConnection (conn) { conn.send(name) } })
  app.get('/name', async () => name)
  return app
}

/** A server that outlives its apps, and its sockets with it. */
async function listenOn (t: Test): Promise<{ server: Server, port: number }> {
  const started = await listen(t, createServer({ keepAliveTimeout: 60_000 }))
  const { server } = started
  const close = server.close.bind(server)
  t.teardown(() => close())
  server.close = (callback) => { callback?.(); return server }
  server.closeIdleConnections = () => {}
  return started
}

t.test('a handshake before ready() is answered with 503', async (t) => {
  const { server: further, port } = await listen(t)
  const { server: own, port: ownPort } = await listen(t, createServer())
  const app = Fastify({ serverFactory: () => own })
  t.teardown(() => app.close())
  await app.register(websocket, { servers: [further] })
  app.websocketRoute('/', { onHandshake () { t.fail('ran') } })
  const release = deferred()
  const reached = deferred()
  app.addHook('onReady', async () => { reached.resolve(); await release.promise })
  const check = async (): Promise<void> => {
    for (const at of [port, ownPort]) {
      for (const path of ['/', '/none']) {
        const { status, headers, body } = await connectRefused(t, `ws://127.0.0.1:${at}${path}`)
        t.match([status, headers['retry-after'], headers.connection, JSON.parse(body)], [503, '5', 'close', { statusCode: 503 }])
      }
    }
  }
  await check()
  const isReady = app.ready()
  await reached.promise
  await check()
  t.match(app.websockets.stats, { pending: 0, refused: { 503: 8 } })
  release.resolve()
  await isReady
})

t.test('a handshake before ready() that nobody else is to have is not given to others that listen', async (t) => {
  const { server, port } = await listen(t)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket, { servers: [server] })
  app.websocketRoute('/', { onConnection () {} })
  server.on('upgrade', (_request: IncomingMessage, socket: Socket) => { socket.end('HTTP/1.1 418 Theirs\r\n\r\n') })
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/`)).status, 503)
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/none`)).status, 418)
  await app.ready()
  await connect(t, `ws://127.0.0.1:${port}/`)
})

t.test('an app that does not start answers with 503 until it is closed', async (t) => {
  const { server, port } = await listen(t)
  const app = Fastify()
  const before = stateOf(server)
  await app.register(websocket, { servers: [server] })
  app.addHook('onReady', async () => { throw new Error('on purpose') })
  await t.rejects(async () => await app.ready(), { message: 'on purpose' })
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/`)).status, 503)
  await app.close()
  t.same(stateOf(server), before)
})

t.test('after the close nothing of the plugin is left on a server', async (t) => {
  for (const wrapped of [false, true]) {
    const { server, port } = await listen(t)
    // Somebody may have replaced emit() before.
    if (wrapped) server.emit = server.emit.bind(server)
    const before = stateOf(server)
    const app = Fastify()
    for (const prefix of ['/a', '/b']) {
      await app.register(async (child) => { await child.register(websocket, { servers: [server] }); child.websocketRoute('/', { onConnection () {} }) }, { prefix })
    }
    await app.ready()
    await connect(t, `ws://127.0.0.1:${port}/b`)
    await app.close()
    t.same(stateOf(server), before)
    t.equal(await (await fetch(`http://127.0.0.1:${port}/a`, { headers: { connection: 'close' } })).text(), 'its own')
    const client = await RawClient.connect(t, port)
    client.write(handshake('/a', { Connection: 'close, Upgrade' }))
    t.match(parseHead(await client.untilEnd()), { status: 200, body: 'its own' })
  }
})

t.test('an emit() that somebody has wrapped stays, and passes all on', async (t) => {
  const { server, port } = await listen(t)
  const start = async (): Promise<FastifyInstance> => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(websocket, { servers: [server] })
    app.websocketRoute('/', { onConnection () {} })
    await app.ready()
    return app
  }
  const first = await start()
  let count = 0
  const { emit } = server
  server.emit = (event: string, ...args: unknown[]) => {
    if (event === 'upgrade') count++
    return Reflect.apply(emit, server, [event, ...args])
  }
  const theirs = (_request: IncomingMessage, socket: Socket): void => { socket.end('HTTP/1.1 418 Theirs\r\n\r\n') }
  server.on('upgrade', theirs)
  await connect(t, `ws://127.0.0.1:${port}/`)
  await first.close()
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/`)).status, 418)
  const second = await start()
  await connect(t, `ws://127.0.0.1:${port}/`)
  await second.close()
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/`)).status, 418)
  t.equal(count, 4)
})

t.test('the next app on a server has it all, also on sockets that were there before', async (t) => {
  const { server, port } = await listenOn(t)
  const socket = await RawClient.connect(t, port)
  for (const name of ['first', 'second', 'third']) {
    server.removeAllListeners('request')
    const app = await createApp(t, server, name)
    await app.ready()
    socket.write('GET /name HTTP/1.1\r\nHost: a\r\n\r\n')
    await socket.until((bytes) => bytes.toString().endsWith(name))
    const client = await openRaw(t, port)
    t.equal(String((await client.untilFrames(1))[0]?.payload), name)
    if (name !== 'third') await app.close()
  }
  socket.write(handshake('/'))
  await socket.until((bytes) => bytes.toString().endsWith('\x05third'))
})

t.test('an app that takes over has the handshakes from when it is ready, and while the other one still closes', async (t) => {
  const held = deferred()
  const { server, port } = await listenOn(t)
  const old = await createApp(t, server, 'old')
  old.websocketRoute('/held', { onConnection () {}, onClose: () => held.promise })
  old.websocketRoute('/old', { onConnection (conn) { conn.send('old') } })
  await old.ready()
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/held`)
  const first = async (path = '/'): Promise<string> => String((await (await openRaw(t, port, path)).untilFrames(1))[0]?.payload)
  const next = await createApp(t, server, 'next')
  t.equal(await first(), 'old', 'the next one is not ready')
  await next.ready()
  t.equal(await first(), 'next')
  t.equal(await first('/old'), 'old', 'which the next one has not')
  t.match(await connectRefused(t, `ws://127.0.0.1:${port}/none`), { status: 404 })
  const code = closed(socket)
  const isClosed = old.close()
  t.equal(await code, 1001)
  t.equal(await first(), 'next')
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/old`)).status, 503)
  held.resolve()
  await isClosed
  t.equal(await first(), 'next')
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/old`)).status, 404)
})

t.test('@fastify/restartable', async (t) => {
  let count = 0
  const app = await restartable(async (create, options) => {
    const app = create(options)
    await app.register(websocket, { closeTimeout: 50 })
    const name = `app ${++count}`
    app.websocketRoute('/', { onConnection (conn) { conn.send(name) } })
    app.get('/name', async () => name)
    return app
  }, {})
  t.teardown(() => app.close())
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  for (const name of ['app 1', 'app 2', 'app 3']) {
    const client = await openRaw(t, port)
    t.equal(String((await client.untilFrames(1))[0]?.payload), name)
    await app.restart()
    t.equal((await client.untilClose()).code, 1001)
  }
  const { server } = app
  t.same([server.listenerCount('upgrade'), Object.hasOwn(server, 'emit')], [1, true])
  // What is pipelined waits for its turn in the app that is there now.
  const client = await RawClient.connect(t, port)
  client.write('GET /name HTTP/1.1\r\nHost: a\r\n\r\n' + handshake('/'))
  t.match((await client.until((bytes) => bytes.toString().endsWith('\x05app 4'))).toString('latin1'), /app 4HTTP\/1\.1 101/)
})

// As Fastify does for the second address of localhost.
async function startForwarding (t: Test, app: FastifyInstance): Promise<RawClient> {
  const second = createServer((request, response) => app.routing(request, response))
  second.on('upgrade', app.server.emit.bind(app.server, 'upgrade'))
  return await RawClient.connect(t, (await listen(t, second)).port)
}

t.test('a second server that passes its upgrades on to one on which nobody listens any more gets an answer', async (t) => {
  const [reached, release] = [deferred(), deferred()]
  const { app } = await startApp(t, (app) => {
    app.get('/slow', async () => { reached.resolve(); await release.promise; return 'slow answer' })
  })
  const idle = await startForwarding(t, app)
  const waiting = await startForwarding(t, app)
  waiting.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
  await reached.promise
  await app.close()
  for (const client of [idle, waiting]) client.write(handshake('/'))
  t.match((await idle.untilEnd()).toString(), /^HTTP\/1\.1 503 [^]*retry-after: 5/i)
  release.resolve()
  t.match((await waiting.untilEnd()).toString(), /slow answerHTTP\/1\.1 503 [^]*retry-after: 5/i)
})

t.test('an upgrade that nobody takes is closed after handshakeTimeout, one that somebody has taken is not', async (t) => {
  const sockets: Socket[] = []
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onConnection () {} })
    app.server.on('upgrade', ({ url }: IncomingMessage, socket: Socket) => {
      sockets.push(socket)
      if (url === '/reading') socket.resume()
      if (url === '/writing') socket.write('HTTP/1.1 101 Theirs\r\n\r\n')
    })
  }, { plugin: { handshakeTimeout: 50 } })
  const open = async (path: string): Promise<RawClient> => {
    const client = await RawClient.connect(t, port)
    const count = sockets.length
    client.write(handshake(path))
    await eventually(() => sockets.length > count)
    return client
  }
  const taken = [await open('/reading'), await open('/writing')]
  const untaken = await open('/nobody')
  await untaken.untilEnd()
  t.same(taken.map(({ socket }) => socket.readableEnded || socket.destroyed), [false, false])
  t.notOk(sockets[2]?.listenerCount('error') === 0)
  t.equal(app.websockets.stats.pending, 0)
  for (const socket of sockets) socket.destroy()
})

t.test('without a handshakeTimeout such an upgrade stays, and does not end the process when it fails', async (t) => {
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onConnection () {} })
  }, { plugin: { handshakeTimeout: false } })
  const came = new Promise<Socket>((resolve) => { app.server.on('upgrade', (_request: IncomingMessage, socket: Socket) => resolve(socket)) })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/nobody'))
  const socket = await came
  const isClosed = new Promise((resolve) => { socket.once('close', resolve) })
  socket.emit('error', new Error('reset'))
  await isClosed
  await client.untilEnd()
})

t.test('where emit() is not ours any more, handshakes are taken all the same, and it is said once that others see them', async (t) => {
  for (const when of ['replaced', 'locked']) {
    const { server, port } = await listen(t)
    if (when === 'locked') Object.defineProperty(server, 'emit', { value: server.emit.bind(server), writable: false })
    const { logs } = await startApp(t, (app) => {
      app.websocketRoute('/', { onConnection (conn) { conn.send('open') } })
    }, { plugin: { servers: [server] } })
    if (when === 'replaced') server.emit = Object.getPrototypeOf(server).emit as Server['emit']
    let seen = 0
    server.on('upgrade', ({ url }: IncomingMessage, socket: Socket) => {
      seen++
      if (url !== '/') socket.end('HTTP/1.1 418 Theirs\r\n\r\n')
    })
    for (let i = 0; i < 2; i++) t.equal((await connect(t, `ws://127.0.0.1:${port}/`)).status, 101)
    t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/none`)).status, 418)
    t.equal(seen, 3)
    t.equal(logs.filter(({ level, msg }) => level === 40 && msg.startsWith('server.emit is not ours')).length, 1)
  }
})
