// fastify.websockets: all connections, what is counted of them, and messages to all of them.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t, { type Test } from 'tap'
import type { WebSocketConnection, WebSocketPluginOptions, WebSocketRouteOptions } from '../../index.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { closed, connect, connectRefused, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, handshake, openRaw, RawClient, textFrame } from '../support/raw.ts'

async function start (t: Test, routes: Record<string, Partial<WebSocketRouteOptions>>, plugin: WebSocketPluginOptions = {}): Promise<TestApp & { url: string }> {
  const started = await startApp(t, (app) => {
    for (const [path, options] of Object.entries(routes)) app.websocketRoute(path, { onConnection () {}, ...options })
  }, { plugin })
  return { ...started, url: `ws://127.0.0.1:${started.port}` }
}

t.test('knows the connections by id, of all routes and of one, until their sockets are gone', async (t) => {
  const opened: WebSocketConnection[] = []
  const onConnection = (conn: WebSocketConnection): void => { opened.push(conn) }
  const { app } = await startApp(t, async (app) => {
    app.websocketRoute('/', { onConnection })
    await app.register(async (child) => { child.websocketRoute('/rooms/:room', { onConnection }) }, { prefix: '/v1' })
  })
  const { websockets } = app
  const url = `ws://127.0.0.1:${(app.server.address() as { port: number }).port}`
  t.same([websockets.size, [...websockets], [...websockets.values()]], [0, [], []])
  const { socket } = await connect(t, `${url}/`)
  await connect(t, `${url}/v1/rooms/a`)
  await connect(t, `${url}/v1/rooms/b`)
  t.equal(websockets.size, 3)
  t.same([...websockets].map(({ id }) => id), opened.map(({ id }) => id))
  for (const conn of opened) t.equal(websockets.get(conn.id), conn)
  t.equal(websockets.get(0), undefined)
  t.same([...websockets.values({ route: '/v1/rooms/:room' })].map(({ id }) => id), opened.slice(1).map(({ id }) => id))
  t.same([...websockets.values({ route: '/' })].map(({ id }) => id), [opened[0]?.id])
  t.same([...websockets.values({ route: undefined })].length, 3)
  t.throws(() => websockets.values({ route: '/rooms/:room' }), {
    code: 'FST_ERR_WS_ROUTE_UNKNOWN', message: /'\/rooms\/:room'.*\/, \/v1\/rooms\/:room/
  })
  socket.close()
  await eventually(() => websockets.size === 2)
  t.equal(websockets.get(opened[0]?.id ?? 0), undefined)
})

t.test('knows a route by each of its paths, and all routes that constraints tell apart on one', async (t) => {
  const { app, port } = await startApp(t, async (app) => {
    await app.register(async (child) => { child.websocketRoute('/', { onConnection () {} }) }, { prefix: '/prefix' })
    for (const host of ['a.example', 'b.example']) app.websocketRoute('/host', { constraints: { host }, onConnection () {} })
  })
  for (const path of ['/prefix', '/prefix/']) await openRaw(t, port, path)
  for (const Host of ['a.example', 'b.example']) await openRaw(t, port, '/host', { Host })
  t.equal(app.websockets.size, 4)
  for (const route of ['/prefix', '/prefix/', '/host']) t.equal([...app.websockets.values({ route })].length, 2, route)
})

t.test('is the same for every child, and for two registrations on one server', async (t) => {
  const { app, url } = await start(t, { '/': {} })
  await connect(t, url)
  t.equal(app.websockets.size, 1)
  const { port } = await startApp(t, async (app) => {
    for (const prefix of ['/a', '/b']) {
      const { default: websocket } = await import('../../index.ts')
      await app.register(async (child) => {
        await child.register(websocket)
        child.websocketRoute('/', { onConnection (conn) { conn.send(String(child.websockets.size)) } })
      }, { prefix })
    }
  }, { withoutPlugin: true })
  t.equal(String((await (await openRaw(t, port, '/a')).untilFrames(1))[0]?.payload), '1')
  t.equal(String((await (await openRaw(t, port, '/b')).untilFrames(1))[0]?.payload), '2')
})

t.test('may lose a connection while it is iterated', async (t) => {
  const { app, url } = await start(t, { '/': {} })
  for (let i = 0; i < 3; i++) await connect(t, url)
  let seen = 0
  for (const conn of app.websockets) { seen++; conn.terminate() }
  t.equal(seen, 3)
  await eventually(() => app.websockets.size === 0)
})

t.test('counts', async (t) => {
  const hold = deferred()
  const { app, url, port } = await start(t, {
    '/': { onMessage (conn, message) { conn.sendMessage(message) } },
    '/deflate': { perMessageDeflate: { threshold: 0 }, onMessage (conn, message) { conn.send(message as string) } },
    '/no': { onHandshake (conn) { conn.reject({ code: 401 }) } },
    '/slow': { onHandshake: async () => { await hold.promise } }
  })
  const { websockets } = app
  const none = { open: 0, pending: 0, accepted: 0, refused: {}, aborted: 0, closed: {}, received: { messages: 0, bytes: 0 }, sent: { messages: 0, bytes: 0 }, discarded: 0 }
  t.same(websockets.stats, { ...none, topics: 0, emitter: null, routes: { '/': none, '/deflate': none, '/no': none, '/slow': none } })
  const before = websockets.stats

  const { socket } = await connect(t, url)
  socket.send('h\u00e9llo') // 6 bytes
  await nextMessage(socket)
  socket.send(Buffer.alloc(70_000))
  await nextMessage(socket)
  const deflated = (await connect(t, `${url}/deflate`, [], { perMessageDeflate: true })).socket
  deflated.send('x'.repeat(1_000))
  await nextMessage(deflated)
  for (const path of ['/no', '/no', '/none']) await connectRefused(t, `${url}${path}`)
  t.equal((await fetch(`http://127.0.0.1:${port}/none`)).status, 404)
  const slow = await RawClient.connect(t, port)
  slow.write(handshake('/slow'))
  await eventually(() => websockets.stats.pending === 1)
  t.same(websockets.stats, {
    open: 2,
    topics: 0,
    pending: 1,
    accepted: 2,
    refused: { 401: 2, 404: 1 },
    aborted: 0,
    closed: {},
    received: { messages: 3, bytes: 71_006 },
    sent: { messages: 3, bytes: 71_006 },
    discarded: 0,
    emitter: null,
    routes: {
      '/': { ...none, open: 1, accepted: 1, received: { messages: 2, bytes: 70_006 }, sent: { messages: 2, bytes: 70_006 } },
      '/deflate': { ...none, open: 1, accepted: 1, received: { messages: 1, bytes: 1_000 }, sent: { messages: 1, bytes: 1_000 } },
      '/no': { ...none, refused: { 401: 2 } },
      '/slow': { ...none, pending: 1 }
    }
  })
  t.equal(before.accepted, 0, 'a snapshot')

  slow.socket.destroy()
  socket.close(4001)
  const raw = await openRaw(t, port)
  raw.socket.resetAndDestroy()
  const wrong = await openRaw(t, port)
  wrong.write(Buffer.from([0x81, 0x01, 0x61])) // not masked
  const quiet = await openRaw(t, port)
  quiet.write(Buffer.from([0x88, 0x80, 1, 2, 3, 4])) // a close frame without a code
  await eventually(() => websockets.size === 1)
  t.match(websockets.stats, { open: 1, pending: 0, accepted: 5, aborted: 1, closed: { 4001: 1, 1006: 1, 1002: 1, 1005: 1 } })
  t.match(websockets.stats.routes, {
    '/': { open: 0, accepted: 4, aborted: 0, closed: { 4001: 1, 1006: 1, 1002: 1, 1005: 1 } }, '/deflate': { open: 1, closed: {} }, '/slow': { pending: 0, aborted: 1 }
  })
})

t.test('counts the routes of one path together, and one with two paths once', async (t) => {
  const { app, port } = await startApp(t, async (app) => {
    await app.register(async (child) => { child.websocketRoute('/', { onConnection () {} }) }, { prefix: '/prefix' })
    for (const host of ['a.example', 'b.example']) app.websocketRoute('/host', { constraints: { host }, onMessage () {} })
  })
  for (const path of ['/prefix', '/prefix/']) await openRaw(t, port, path)
  for (const Host of ['a.example', 'b.example']) (await openRaw(t, port, '/host', { Host })).write(textFrame(Host))
  await eventually(() => app.websockets.stats.received.messages === 2)
  const { open, accepted, routes } = app.websockets.stats
  t.same([open, accepted], [4, 4])
  t.same(Object.entries(routes).map(([path, { open, accepted, received }]) => [path, open, accepted, received]), [
    ['/prefix', 2, 2, { messages: 0, bytes: 0 }], ['/host', 2, 2, { messages: 2, bytes: 18 }]
  ])
})

t.test('a handshake that is refused before the hooks of the plugin, or meets no route, counts in the sum alone', async (t) => {
  const hold = deferred()
  const { app, port, url } = await startApp(t, async (app) => {
    app.addHook('onRequest', async (request) => {
      if (request.url === '/?early') throw Object.assign(new Error('no'), { statusCode: 409 })
      if (request.url === '/?wait') await hold.promise
    })
    const { default: websocket } = await import('../../index.ts')
    await app.register(websocket)
    app.websocketRoute('/', { onConnection () {} })
  }, { withoutPlugin: true }).then((started) => ({ ...started, url: `ws://127.0.0.1:${started.port}` }))
  for (const path of ['/?early', '/none']) await connectRefused(t, url + path)
  const waiting = await RawClient.connect(t, port)
  waiting.write(handshake('/?wait'))
  await eventually(() => app.websockets.stats.pending === 1)
  t.match(app.websockets.stats, { pending: 1, refused: { 409: 1, 404: 1 }, routes: { '/': { pending: 0, refused: {} } } })
  hold.resolve()
  await waiting.head()
  t.match(app.websockets.stats, { pending: 0, accepted: 1, routes: { '/': { pending: 0, accepted: 1 } } })
})

t.test('broadcasts to all, or to those of a route or a filter, and returns to how many', async (t) => {
  const { app, url } = await start(t, { '/a': {}, '/b/:id': {} })
  t.equal(app.websockets.broadcast('nobody'), 0)
  const a = (await connect(t, `${url}/a`)).socket
  const b = (await connect(t, `${url}/b/1`)).socket
  const c = (await connect(t, `${url}/b/2`)).socket
  const seen: string[] = []
  for (const [name, socket] of Object.entries({ a, b, c })) socket.on('message', (data, isBinary) => seen.push(`${name} ${isBinary ? 'binary ' : ''}${String(data as Buffer)}`))
  t.equal(app.websockets.broadcast('all'), 3)
  t.equal(app.websockets.broadcast('route', { route: '/b/:id' }), 2)
  t.equal(app.websockets.broadcast(Buffer.from('filter'), { filter: ({ request }) => (request.params as { id?: string }).id === '2' }), 1)
  t.equal(app.websockets.broadcast(Buffer.from('xboth').buffer.slice(0), { route: '/a', filter: () => false }), 0)
  t.equal(app.websockets.broadcast(new Uint8Array(Buffer.from('view')), { route: '/a' }), 1)
  t.equal(app.websockets.broadcast(new TextEncoder().encode('buffer').buffer, { route: '/a' }), 1)
  t.throws(() => app.websockets.broadcast('x', { route: '/c' }), { code: 'FST_ERR_WS_ROUTE_UNKNOWN' })
  await eventually(() => seen.length === 8)
  t.same(seen.sort(), ['a all', 'a binary buffer', 'a binary view', 'b all', 'b route', 'c all', 'c binary filter', 'c route'])
  t.same(app.websockets.stats.sent, { messages: 8, bytes: 3 * 3 + 2 * 5 + 6 + 4 + 6 })
})

t.test('broadcasts frames of every length as they are', async (t) => {
  const { app, port } = await start(t, { '/': {} })
  const client = await openRaw(t, port)
  const sizes = [0, 1, 125, 126, 65_535, 65_536, 200_000]
  for (const size of sizes) app.websockets.broadcast('x'.repeat(size))
  for (const size of sizes) app.websockets.broadcast(Buffer.alloc(size, 1))
  app.websockets.broadcast('\u00e9\u20ac\u{1f600}')
  const frames = await client.untilFrames(2 * sizes.length + 1)
  t.same(frames.map(({ first, payload }) => [first, payload.length]), [...sizes.map((size) => [0x81, size]), ...sizes.map((size) => [0x82, size]), [0x81, 9]])
  t.equal(frames.at(-1)?.payload.toString(), '\u00e9\u20ac\u{1f600}')
})

t.test('broadcasts through the schema of each route, and sends nothing if the message does not fit one of them', async (t) => {
  let serialised = 0
  const schema = (name: string): object => ({ type: 'object', properties: { [name]: { type: 'string' } }, required: [name], additionalProperties: false })
  const { app, url } = await start(t, {
    '/a': { schema: { send: schema('a') }, serializerCompiler: () => (value) => { serialised++; return JSON.stringify(value) } },
    '/b': { schema: { send: schema('b') } }
  })
  const [a, , b] = await Promise.all([connect(t, `${url}/a`), connect(t, `${url}/a`), connect(t, `${url}/b`)])
  const [fromA, fromB] = [nextMessage(a.socket), nextMessage(b.socket)]
  t.throws(() => app.websockets.broadcast({ a: 'x' }), { code: 'FST_ERR_WS_SEND_INVALID' })
  t.equal(app.websockets.stats.sent.messages, 0)
  serialised = 0
  t.equal(app.websockets.broadcast({ a: 'x', b: 'y' }), 3)
  t.equal(serialised, 1, 'once for the two connections of the route')
  t.equal(await fromA, '{"a":"x","b":"y"}')
  t.equal(await fromB, '{"b":"y"}')
})

t.test('keeps the order with what waits on a connection: fragments, compression, Blobs', async (t) => {
  const { app, url } = await start(t, { '/plain': {}, '/deflate': { perMessageDeflate: { threshold: 0 } } })
  const seen: Record<string, string[]> = { plain: [], deflate: [] }
  for (const name of ['plain', 'deflate']) {
    const { socket } = await connect(t, `${url}/${name}`, [], { perMessageDeflate: true })
    socket.on('message', (data) => seen[name]?.push(String(data as Buffer)))
  }
  for (const conn of app.websockets) {
    conn.send('first')
    conn.send('frag', { fin: false })
    conn.send('ment', { fin: true })
    conn.send(new Blob(['blob']) as unknown as Buffer)
  }
  app.websockets.broadcast('broadcast')
  for (const conn of app.websockets) conn.send('last')
  await eventually(() => seen.plain?.length === 5 && seen.deflate?.length === 5)
  for (const name of ['plain', 'deflate']) t.same(seen[name], ['first', 'fragment', 'blob', 'broadcast', 'last'], name)
})

t.test('leaves out connections that are closing, and terminates slow consumers alone', async (t) => {
  const errors: unknown[] = []
  const { app, port, url } = await start(t, {
    '/': { maxBufferedAmount: 4 * 1024 * 1024, onError (_conn, error) { errors.push((error as { code?: string }).code) } }
  })
  const closing = await openRaw(t, port)
  for (const conn of app.websockets) conn.close()
  await closing.untilClose()
  const slow = await RawClient.connect(t, port)
  slow.write(handshake('/'))
  await slow.head()
  slow.socket.pause()
  const { socket } = await connect(t, url)
  let received = 0
  socket.on('message', () => received++)
  const message = Buffer.alloc(1024 * 1024)
  let sent = 0
  while (errors.length === 0) {
    const count = app.websockets.broadcast(message)
    if (count > 2) t.fail('sent to a connection that closes')
    sent++
    await eventually(() => received === sent)
  }
  t.same(errors, ['FST_ERR_WS_SLOW_CONSUMER'])
  t.equal(socket.readyState, socket.OPEN)
  t.equal(app.websockets.broadcast('on'), 1)
})

t.test('what a filter throws comes out, and nothing is sent', async (t) => {
  const { app, url } = await start(t, { '/': {} })
  for (let i = 0; i < 2; i++) await connect(t, url)
  let asked = 0
  t.throws(() => app.websockets.broadcast('x', { filter () { if (++asked === 2) throw new Error('no'); return true } }), /^no$/)
  t.equal(app.websockets.stats.sent.messages, 0)
})

t.test('only those that the filter says yes to get a broadcast', async (t) => {
  const { app, port } = await start(t, { '/': {} })
  const client = await openRaw(t, port)
  for (const no of [false, undefined, null, 0, '']) t.equal(app.websockets.broadcast('no', { filter: () => no as boolean }), 0)
  for (const yes of [true, 1, 'yes', {}]) t.equal(app.websockets.broadcast('yes', { filter: () => yes as boolean }), 1)
  t.same((await client.untilFrames(4)).map(({ payload }) => payload.toString()), ['yes', 'yes', 'yes', 'yes'])
})

t.test('a filter that is asynchronous, and options that are none, are errors', async (t) => {
  const { app, url } = await start(t, { '/': {} })
  const { broadcast } = Object.getPrototypeOf(app.websockets) as { broadcast (message: unknown, options: unknown): number }
  const cases: Array<[options: unknown, error: object]> = [
    [null, { code: 'FST_ERR_WS_OPTION_INVALID', message: 'The option "options" must be an object, got null' }],
    [{ filter: true }, { code: 'FST_ERR_WS_OPTION_INVALID', message: 'The option "filter" must be a function, got true' }],
    [{ route: 1 }, { code: 'FST_ERR_WS_OPTION_INVALID', message: 'The option "route" must be the path of a route, got 1' }],
    [{ filters: () => true }, { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: 'Unknown option "filters": did you mean "filter"?' }]
  ]
  for (const [options, error] of cases) t.throws(() => broadcast.call(app.websockets, 'x', options), error as Error)
  t.throws(() => app.websockets.values({ rout: '/' } as object), { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: 'Unknown option "rout": did you mean "route"?' })
  t.same([...app.websockets.values({ route: undefined })], [])
  await connect(t, url)
  for (const filter of [async () => true, async () => { throw new Error('rejected') }]) {
    t.throws(() => broadcast.call(app.websockets, 'x', { filter }), {
      code: 'FST_ERR_WS_OPTION_INVALID', message: 'The option "filter" must be a function that returns a boolean, got one that returns a promise'
    })
  }
  t.equal(app.websockets.stats.sent.messages, 0)
})

t.test('a connection that a filter closes gets nothing, and does not count', async (t) => {
  const { app, port, url } = await start(t, { '/': {} })
  const sent: unknown[] = []
  const note = (message: unknown): void => { sent.push(message) }
  subscribe('fastify-websocket-route.message.sent', note)
  t.teardown(() => unsubscribe('fastify-websocket-route.message.sent', note))
  const first = await openRaw(t, port)
  const { socket } = await connect(t, url)
  const message = nextMessage(socket)
  let count = 0
  t.equal(app.websockets.broadcast('x', { filter () { if (++count === 2) { const [conn] = app.websockets; conn?.close(1000) } return true } }), 1)
  t.equal(await message, 'x')
  await first.untilClose()
  t.same(first.frames.map(({ first }) => first), [0x88])
  for (const conn of app.websockets) conn.close()
  for (const conn of app.websockets) conn.send('late')
  t.equal(sent.length, 1, 'nor is what was not sent published')
})

t.test('a broadcast is framed once: every socket is given the same bytes', async (t) => {
  const { app, url } = await start(t, { '/': { schema: { send: { type: 'object', properties: { a: { type: 'string' } } } } } })
  for (let i = 0; i < 3; i++) await connect(t, url)
  const frames = new Set<unknown>()
  for (const conn of app.websockets) {
    const { socket } = conn.request
    const { write } = socket
    socket.write = function (this: typeof socket, ...args: never[]) { frames.add(args[0]); return Reflect.apply(write, this, args) as boolean }
  }
  app.websockets.broadcast({ a: 'x'.repeat(100_000) })
  t.same([...frames].map((frame) => (frame as Buffer).length), [100_008 + 10], 'one buffer, with header and payload')
})

t.test('drained() waits for a broadcast that a peer has not taken', async (t) => {
  const { app, port } = await start(t, { '/': { onMessage (conn, message) { conn.sendMessage(message) } } })
  const client = await openRaw(t, port)
  client.socket.pause()
  app.websockets.broadcast(Buffer.alloc(16 * 1024 * 1024))
  const [conn] = app.websockets
  let isDrained = false
  const drained = conn?.drained().then(() => { isDrained = true })
  client.write(textFrame('not read before'))
  await new Promise(setImmediate)
  t.equal(isDrained, false)
  client.socket.resume()
  await drained
  t.equal((await client.untilFrames(2))[1]?.payload.toString(), 'not read before')
})

t.test('does not send to a connection that has closed, whose close is counted once', async (t) => {
  const { app, port } = await start(t, { '/': {} })
  const client = await openRaw(t, port)
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  client.write(Buffer.concat([textFrame('x'), closeFrame(1000)]))
  await client.untilClose()
  await eventually(() => app.websockets.size === 1)
  t.equal(app.websockets.broadcast('x'), 1)
  const code = closed(socket)
  socket.close(1000)
  t.equal(await code, 1000)
  await eventually(() => app.websockets.size === 0)
  t.same(app.websockets.stats.closed, { 1000: 2 })
})
