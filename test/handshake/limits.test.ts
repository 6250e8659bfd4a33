// How many connections and handshakes there may be, and that what is counted returns to zero on every way out.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyReply, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import type { WebSocketPluginOptions, WebSocketRouteOptions } from '../../index.ts'
import { Reservation, Quota } from '../../lib/handshake/limits.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { connect, connectRefused } from '../support/client.ts'
import { watchCounts, ZERO } from '../support/counts.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, handshake, openRaw, RawClient, textFrame } from '../support/raw.ts'

async function start (
  t: Test, plugin: WebSocketPluginOptions, routes: Record<string, Partial<WebSocketRouteOptions>> = { '/': {} }, server: object = {}
): Promise<TestApp & { url: string }> {
  const started = await startApp(t, (app) => {
    for (const [path, options] of Object.entries(routes)) app.websocketRoute(path, { onConnection () {}, ...options })
  }, { plugin, server })
  return { ...started, url: `ws://127.0.0.1:${started.port}` }
}

async function refusalOf (t: Test, url: string, headers: Record<string, string> = {}): Promise<Record<'status' | 'code' | 'message' | 'retryAfter', unknown>> {
  const { status, body, headers: fields } = await connectRefused(t, url, [], { headers })
  return { ...JSON.parse(body) as Record<'code' | 'message', unknown>, status, retryAfter: fields['retry-after'] }
}

t.test('maxConnections counts the connections of all routes', async (t) => {
  const counts = watchCounts(t)
  const { app, url } = await start(t, { maxConnections: 2 }, { '/a': {}, '/b': {} })
  const { socket } = await connect(t, `${url}/a`)
  await connect(t, `${url}/b`)
  t.match(await refusalOf(t, `${url}/a`), {
    status: 503, code: 'FST_ERR_WS_MAX_CONNECTIONS', message: /server .*\("maxConnections": 2\)/, retryAfter: '5'
  })
  socket.close()
  await eventually(() => app.websockets.size === 1)
  await connect(t, `${url}/b`)
  await app.close()
  t.same(counts(), [ZERO])
})

t.test('maxConnections on a route counts its own, beside those of the server', async (t) => {
  const counts = watchCounts(t)
  const { app, url } = await start(t, { maxConnections: 3 }, { '/a': { maxConnections: 1 }, '/b': {} })
  await connect(t, `${url}/a`)
  t.match(await refusalOf(t, `${url}/a`), { status: 503, code: 'FST_ERR_WS_MAX_CONNECTIONS', message: /route .*1/ })
  t.match(counts(), [{ places: 1 }, { places: 1 }], 'who is refused by one takes no place in the other')
  await connect(t, `${url}/b`)
  await connect(t, `${url}/b`)
  t.match(await refusalOf(t, `${url}/b`), { status: 503, message: /server .*3/ })
  await app.close()
  t.same(counts(), [ZERO, ZERO])
})

t.test('maxConnections holds however many handshakes are decided at once', async (t) => {
  const release = deferred()
  const { app, port } = await start(t, { maxConnections: 5 }, { '/': { onHandshake: async () => { await release.promise } } })
  const clients = await Promise.all(Array.from({ length: 20 }, async () => await RawClient.connect(t, port)))
  for (const client of clients) client.write(handshake('/'))
  await eventually(() => app.websockets.stats.refused[503] === 15)
  release.resolve()
  const statuses = await Promise.all(clients.map(async (client) => (await client.head()).status))
  t.same(statuses.sort(), [...Array<number>(5).fill(101), ...Array<number>(15).fill(503)])
})

t.test('maxPendingHandshakes counts handshakes without an answer', async (t) => {
  const counts = watchCounts(t)
  const release = deferred()
  const { app, port, url } = await start(t, { maxPendingHandshakes: 2 }, {
    '/slow': { onHandshake: async () => { await release.promise } },
    '/': {},
    '/one': { maxPendingHandshakes: 1, onHandshake: async () => { await release.promise } }
  })
  for (let i = 0; i < 5; i++) await connect(t, url) // open ones do not count
  const one = await RawClient.connect(t, port)
  one.write(handshake('/one'))
  await eventually(() => app.websockets.stats.pending === 1)
  t.match(await refusalOf(t, `${url}/one`), { status: 503, code: 'FST_ERR_WS_MAX_PENDING_HANDSHAKES', message: /route .*1/, retryAfter: '5' })
  const slow = await RawClient.connect(t, port)
  slow.write(handshake('/slow'))
  await eventually(() => app.websockets.stats.pending === 2)
  t.match(await refusalOf(t, url), { status: 503, code: 'FST_ERR_WS_MAX_PENDING_HANDSHAKES', message: /server .*2/ })
  release.resolve()
  t.equal((await slow.head()).status, 101)
  await connect(t, url)
  for (const { socket } of [one, slow]) socket.destroy() // they would not answer the close frame
  await app.close()
  t.same(counts(), [ZERO, ZERO])
})

t.test('maxPendingHandshakes is 1000 by default', async (t) => {
  const release = deferred()
  const { app, port, url } = await start(t, {}, { '/': { onHandshake: async () => { await release.promise } } })
  const waiting: RawClient[] = []
  for (let i = 0; i < 1000; i++) {
    const client = await RawClient.connect(t, port)
    client.write(handshake('/'))
    waiting.push(client)
  }
  await eventually(() => app.websockets.stats.pending === 1000)
  t.match(await refusalOf(t, url), { status: 503, message: /1000/ })
  release.resolve()
  for (const client of waiting) if ((await client.head()).status !== 101) t.fail('refused')
  t.equal(app.websockets.size, 1000)
})

t.test('maxConnectionsPerKey counts by request.ip', async (t) => {
  const counts = watchCounts(t)
  const { app, url } = await start(t, { maxConnectionsPerKey: 1 }, { '/': {} }, { trustProxy: true })
  const from = (ip: string): Record<string, string> => ({ 'x-forwarded-for': ip })
  const { socket } = await connect(t, url, [], { headers: from('10.0.0.1') })
  await connect(t, url, [], { headers: from('10.0.0.2') })
  t.match(await refusalOf(t, url, from('10.0.0.1')), {
    status: 429, code: 'FST_ERR_WS_MAX_CONNECTIONS_PER_KEY', message: /server .*\("maxConnectionsPerKey": 1\)/, retryAfter: '5'
  })
  t.match(counts(), [{ places: 2, pending: 0, keys: 2 }])
  socket.terminate()
  await eventually(() => app.websockets.size === 1)
  await connect(t, url, [], { headers: from('10.0.0.1') })
  await app.close()
  t.same(counts(), [ZERO])
})

t.test('counts by the keys of the server and of the route, each with its keyGenerator', async (t) => {
  const counts = watchCounts(t)
  const keyFrom = (name: string) => ({ headers }: FastifyRequest): string => String(headers[name])
  const { app, url } = await start(t, { maxConnectionsPerKey: 3, keyGenerator: keyFrom('x-tenant') }, {
    '/': { maxConnectionsPerKey: 2, keyGenerator: async (request) => keyFrom('x-user')(request) },
    '/other': {},
    '/not-by-key': { maxConnections: 10 }
  })
  const as = (user: string, tenant = 't'): { headers: Record<string, string> } => ({ headers: { 'x-user': user, 'x-tenant': tenant } })
  await connect(t, url, [], as('a'))
  await connect(t, url, [], as('a'))
  t.match(await refusalOf(t, url, as('a').headers), { status: 429, message: /route .*2/ })
  await connect(t, `${url}/other`, [], as('b'))
  t.match(await refusalOf(t, url, as('c').headers), { status: 429, message: /server .*3/ })
  t.match(await refusalOf(t, `${url}/other`, as('c').headers), { status: 429 })
  await connect(t, `${url}/not-by-key`, [], as('c', 'u'))
  await app.close()
  t.same(counts(), [ZERO, ZERO, ZERO])
})

t.test('only a string is a key, and what keyGenerator throws is answered by the error handler', async (t) => {
  const counts = watchCounts(t)
  const results: Record<string, () => unknown> = {
    undefined: () => undefined,
    null: () => null,
    1: () => 1,
    promised: async () => ({ passwordHash: 'SECRET' }),
    throws () { throw Object.assign(new Error('no key'), { statusCode: 502 }) },
    rejects: async () => { throw Object.assign(new Error('no key'), { statusCode: 502 }) }
  }
  const { url, logs } = await start(t, { maxConnectionsPerKey: 1, keyGenerator: ({ headers }) => results[String(headers['x-case'])]?.() as string })
  for (const [name, type] of [['undefined', 'undefined'], ['null', 'null'], ['1', 'number'], ['promised', 'object']] as const) {
    const message = `keyGenerator(request) must return a string, or a promise for one, got ${type}`
    t.match(await refusalOf(t, url, { 'x-case': name }), { status: 500, code: 'FST_ERR_WS_CONNECTION_KEY', message }, name)
  }
  t.match(logs.findLast(({ msg }) => msg === 'keyGenerator returned no string'), { level: 50, value: "{ passwordHash: 'SECRET' }" }, 'the value is for the log alone')
  for (const name of ['throws', 'rejects']) t.match(await refusalOf(t, url, { 'x-case': name }), { status: 502, message: 'no key' }, name)
  t.same(counts(), [ZERO])
})

t.test('a generator that throws beside one that rejects, or that rejects with it, is answered like one alone', async (t) => {
  const fail = (message: string): never => { throw Object.assign(new Error(message), { statusCode: 502 }) }
  const rejections: unknown[] = []
  const listener = (error: unknown): void => { rejections.push(error) }
  process.on('unhandledRejection', listener)
  t.teardown(() => process.off('unhandledRejection', listener))
  const { url } = await start(t, { maxConnectionsPerKey: 5, keyGenerator: async () => fail('of the plugin') }, {
    '/throws': { maxConnectionsPerKey: 5, keyGenerator: () => fail('of the route') },
    '/rejects': { maxConnectionsPerKey: 5, keyGenerator: async () => fail('of the route') }
  })
  for (const path of ['/throws', '/rejects']) t.match(await refusalOf(t, url + path), { status: 502, message: /of the/ })
  t.same(rejections, [])
})

t.test('clients without an address, as over a Unix socket, count as one', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ws-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'socket')
  await startApp(t, (app) => {
    app.websocketRoute('/', { maxConnectionsPerKey: 1, onConnection () {} })
    app.websocketRoute('/own', { maxConnectionsPerKey: 1, keyGenerator: ({ ip }) => ip, onConnection () {} })
    app.websocketRoute('/null', { maxConnectionsPerKey: 1, keyGenerator: () => null as unknown as string, onConnection () {} })
  }, { listen: { path } })
  for (const url of ['/', '/own']) {
    await connect(t, `ws+unix://${path}:${url}`)
    t.equal((await connectRefused(t, `ws+unix://${path}:${url}`)).status, 429)
  }
  t.equal((await connectRefused(t, `ws+unix://${path}:/null`)).status, 500)
})

t.test('what is refused for a limit meets no hook, and keyGenerator is asked only where there is a limit by key', async (t) => {
  let runs = 0
  const { port } = await startApp(t, (app) => {
    app.addHook('onRequest', async () => { runs++ })
    app.websocketRoute('/', { maxConnections: 1, onConnection () {}, onRequest: async () => { runs++ } })
  }, { plugin: { keyGenerator () { throw new Error('asked') } } })
  await connect(t, `ws://127.0.0.1:${port}/`)
  t.equal(runs, 2)
  for (let i = 0; i < 3; i++) t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/`)).status, 503)
  t.equal(runs, 2)
})

t.test('a place is free again when it is taken by a client that leaves while its key is looked up', async (t) => {
  const counts = watchCounts(t)
  const asked = deferred()
  const release = deferred()
  const { app, port } = await start(t, {
    maxConnectionsPerKey: 1,
    async keyGenerator () {
      asked.resolve()
      await release.promise
      return 'key'
    }
  }, { '/': { onHandshake () { t.fail('reached') } } })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/'))
  await asked.promise
  client.socket.destroy()
  await eventually(() => app.websockets.stats.aborted === 1)
  t.same(counts(), [ZERO])
  release.resolve()
  await app.close()
  t.same(counts(), [ZERO])
})

t.test('Infinity takes a limit away from a route, and plain requests are not counted', async (t) => {
  const { port, url } = await start(t, { maxPendingHandshakes: Infinity }, { '/': { maxConnections: 1, handler: async () => 'plain' } })
  await connect(t, url)
  for (let i = 0; i < 3; i++) t.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'plain')
  t.equal((await connectRefused(t, url)).status, 503)
})

t.test('refuses limits that are none', async (t) => {
  const { app } = await startApp(t, () => {})
  for (const name of ['maxConnections', 'maxConnectionsPerKey', 'maxPendingHandshakes']) {
    for (const value of [0, -1, 1.5, '1', null, NaN]) {
      t.throws(() => app.websocketRoute('/x', { [name]: value, onConnection () {} }), { code: 'FST_ERR_WS_OPTION_INVALID', message: new RegExp(`"${name}" must be a positive integer, or Infinity`) })
    }
  }
  t.throws(() => app.websocketRoute('/x', { keyGenerator: 'ip' as never, onConnection () {} }), { code: 'FST_ERR_WS_OPTION_INVALID' })
})

// Every way in which a handshake or a connection ends.
t.test('whatever way they end, nothing stays counted', async (t) => {
  const counts = watchCounts(t)
  const hold = deferred()
  // Most of these clients answer no close frame.
  const options = { maxConnections: 1_000, maxConnectionsPerKey: 1_000, maxPendingHandshakes: 1_000, closeTimeout: 50 }
  const answer = (code: number) => async (_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => await reply.code(code).send('a hook')
  const fail = (): never => { throw Object.assign(new Error('no'), { statusCode: 418 }) }
  const routes: Record<string, Partial<WebSocketRouteOptions>> = {
    '/open': {},
    '/server-closes': { onConnection (conn) { conn.close(1000) } },
    '/server-terminates': { onConnection (conn) { conn.terminate() } },
    '/throws-when-open': { onConnection: fail },
    '/on-message-throws': { onMessage: fail },
    '/on-close-throws': { onClose: fail },
    '/on-close-hangs': { onClose: async () => { await hold.promise } },
    '/closes-late': { onConnection (conn) { conn.close(4000) } },
    '/silent': { heartbeat: 20 },
    '/slow-consumer': {
      maxBufferedAmount: 1,
      onConnection (conn) { for (let i = 0; i < 20; i++) conn.send(Buffer.alloc(1024 * 1024)) }
    },
    '/rejects': { onHandshake (conn) { conn.reject({ code: 401 }) } },
    '/rejects-at-length': { onHandshake (conn) { conn.reject({ code: 401, body: Buffer.alloc(16 * 1024 * 1024) }) } },
    '/throws': { onHandshake: fail },
    '/rejects-its-promise': { onHandshake: async () => fail() },
    '/throws-after-accept': { onHandshake (conn) { conn.acceptWith(); fail() } },
    '/terminates': { onHandshake (conn) { conn.terminate() } },
    '/times-out': { handshakeTimeout: 20, onHandshake: async () => { await hold.promise } },
    '/hangs': { onHandshake: async () => { await hold.promise } },
    '/origin-hangs': { origin: async () => { await hold.promise; return true } },
    '/origin-throws': { origin: fail },
    '/key-hangs': { keyGenerator: async () => { await hold.promise; return 'key' } },
    '/key-throws': { keyGenerator: fail },
    '/hook-throws': { onRequest: async () => fail() },
    '/hook-answers': { preValidation: answer(409) },
    '/hook-answers-101': { preHandler: answer(101) },
    '/hook-hangs': { preHandler: async () => { await hold.promise } },
    '/hook-hijacks': { preHandler: async (_request, reply) => { reply.hijack(); reply.raw.writeHead(410).end() } },
    '/hook-destroys': { preHandler: async (request) => { request.raw.socket.destroy() } },
    '/send-throws': { onSend: async () => fail() },
    '/invalid': { schema: { querystring: { type: 'object', required: ['x'] } } },
    '/bad-header': { onHandshake (conn) { conn.acceptWith({ headers: { 'x-a': 'b\r\nc: d' } }) } }
  }
  const { app, port } = await start(t, options, Object.fromEntries(Object.entries(routes).map(([path, own]) => [path, { ...options, ...own }])))
  const dial = async (path: string, headers: Record<string, string> = {}): Promise<RawClient> => {
    const client = await RawClient.connect(t, port)
    client.write(handshake(path, headers))
    return client
  }
  const statusOf = async (path: string, headers: Record<string, string> = {}): Promise<number> => parseInt((await (await dial(path, headers)).untilEnd()).toString().slice(9, 12))

  for (const [path, status] of [
    ['/rejects', 401], ['/throws', 418], ['/rejects-its-promise', 418], ['/times-out', 503], ['/key-throws', 418], ['/hook-throws', 418],
    ['/hook-answers', 409], ['/hook-answers-101', 500], ['/hook-hijacks', 410], ['/invalid', 400], ['/bad-header', 500], ['/none', 404]
  ] as const) t.equal(await statusOf(path), status, path)
  t.equal(await statusOf('/origin-throws', { Origin: 'https://a.example' }), 418)
  t.equal(await statusOf('/open', { Origin: 'https://a.example' }), 403)
  t.equal(await statusOf('/open', { 'Sec-WebSocket-Key': 'bad' }), 400)
  t.equal(await statusOf('/open', { 'Sec-WebSocket-Version': '12' }), 426)
  for (const path of ['/terminates', '/hook-destroys', '/send-throws']) await (await dial(path)).untilEnd()

  for (const path of ['/server-closes', '/server-terminates', '/throws-when-open', '/closes-late', '/silent', '/throws-after-accept']) {
    await (await openRaw(t, port, path)).untilEnd()
  }
  for (const path of ['/on-message-throws', '/on-close-throws', '/on-close-hangs']) {
    const client = await openRaw(t, port, path)
    client.write(Buffer.concat([textFrame('hello'), closeFrame(1000)]))
    await client.untilEnd()
  }
  const slow = await openRaw(t, port, '/slow-consumer')
  slow.socket.pause()

  const stays = await Promise.all(['/open', '/open', '/hangs', '/hook-hangs', '/key-hangs', '/rejects-at-length'].map(async (path) => await dial(path)))
  stays.push(await dial('/origin-hangs', { Origin: 'https://a.example' }))
  await eventually(() => app.websockets.stats.pending === 4 && app.websockets.size === 2)
  for (const [i, client] of stays.entries()) {
    if (i % 2 === 0) client.socket.resetAndDestroy()
    else client.socket.destroy()
  }
  const behind = await RawClient.connect(t, port)
  behind.write(handshake('/hangs') + handshake('/hangs')) // what follows a handshake is no request any more
  const pipelined = await RawClient.connect(t, port)
  pipelined.write('GET /none HTTP/1.1\r\nHost: a\r\n\r\n' + handshake('/hangs'))
  await eventually(() => app.websockets.stats.pending === 2)
  pipelined.socket.destroy()
  await eventually(() => app.websockets.size === 0 && app.websockets.stats.pending === 1)
  t.match(counts().filter(({ places }) => places > 0), [{ places: 1 }, { places: 1 }], 'of the server and of one route')

  const [last] = [await openRaw(t, port, '/open')]
  const closing = app.close()
  await Promise.all([last.untilClose(), behind.untilEnd()])
  hold.resolve()
  await closing
  t.equal(counts().length, Object.keys(routes).length + 1)
  t.same(counts().filter(({ places, pending, keys }) => places + pending + keys > 0), [])
  t.match(app.websockets.stats, { open: 0, pending: 0 })
  const { accepted, closed } = app.websockets.stats
  t.equal(Object.values(closed).reduce((sum, count) => sum + count), accepted, 'whatever has opened has closed')
})

t.test('a place is given back once, however often it is released', async (t) => {
  const quota = new Quota({ maxConnections: 5, maxConnectionsPerKey: 5, maxPendingHandshakes: 5, keyGenerator: () => '' }, 'server')
  const [one, other] = [Reservation.take([quota]), Reservation.take([quota])]
  if (one instanceof Error || other instanceof Error) throw new Error('refused')
  t.equal(one.takeKeys(['key']), null)
  t.equal(other.takeKeys(['key']), null)
  for (let i = 0; i < 3; i++) one.release()
  t.same(quota.counts, { places: 1, pending: 1, keys: 1 })
  t.equal(one.takeKeys(['late']), null)
  other.settle()
  t.same(quota.counts, { places: 1, pending: 0, keys: 1 })
  other.release()
  t.same(quota.counts, ZERO)
})
