// fastify.websockets.drain(): clients are sent away some at a time.
import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { WebSocket } from 'ws'
import type { DrainProgress, WebSocketRouteOptions } from '../../index.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { closed, connect, connectRefused, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { handshake, openRaw, RawClient } from '../support/raw.ts'

const hour = 3_600_000

// Some of them wait until a time is over.
t.jobs = 4

async function start (t: Test, clients: number, routeOptions: Partial<WebSocketRouteOptions> = {}): Promise<TestApp & { url: string, sockets: WebSocket[] }> {
  const started = await startApp(t, (app) => {
    app.websocketRoute('/', { onMessage (conn, message) { conn.sendMessage(message) }, closeTimeout: hour, ...routeOptions })
    app.get('/plain', async () => 'plain')
  }, { plugin: { closeTimeout: 50 } })
  const url = `ws://127.0.0.1:${started.port}/`
  const sockets: WebSocket[] = []
  for (let i = 0; i < clients; i++) sockets.push((await connect(t, url)).socket)
  return { ...started, url, sockets }
}

t.test('closes all with 1012, and resolves with the counts', async (t) => {
  const { app, sockets, logs } = await start(t, 3)
  const ends = Promise.all(sockets.map(async (socket) => await once(socket, 'close')))
  t.same(await app.websockets.drain({ interval: 1 }), { closed: 3, terminated: 0 })
  t.same((await ends).map(([code, reason]) => [code, String(reason)]), Array<unknown>(3).fill([1012, 'The server is restarting']))
  t.match(logs.filter(({ msg }) => msg === 'Draining WebSockets').at(-1), { closed: 3, terminated: 0, remaining: 0 })
  t.same(app.websockets.stats.closed, { 1012: 3 })
})

t.test('closes in batches, one after the other, the oldest first', async (t) => {
  const { app, sockets } = await start(t, 7)
  const connections = [...app.websockets]
  const codes = Promise.all(sockets.map(closed))
  const progress: DrainProgress[] = []
  const stillOpen: number[] = []
  const result = await app.websockets.drain({
    batchSize: 3,
    interval: 20,
    code: 4000,
    reason: 'Move on',
    onProgress (now) {
      progress.push(now)
      stillOpen.push(connections.findIndex(({ readyState, OPEN }) => readyState === OPEN))
    }
  })
  t.same(result, { closed: 7, terminated: 0 })
  t.same(stillOpen, [3, 6, -1, -1], 'the first of them')
  t.equal(progress.length, 4, 'after each of three batches, and at the end')
  t.same(progress.at(-1), { closed: 7, terminated: 0, remaining: 0 })
  for (const { closed, terminated, remaining } of progress) t.equal(closed + terminated + remaining, 7)
  t.same(await codes, Array(7).fill(4000))
})

t.test('leaves those of later batches as they are until it is their turn', async (t) => {
  const { app, sockets } = await start(t, 2)
  const [first, second] = sockets as [WebSocket, WebSocket]
  const code = closed(first)
  const draining = app.websockets.drain({ batchSize: 1, interval: 1_000 })
  t.equal(await code, 1012)
  second.send('still here')
  t.equal(await nextMessage(second), 'still here')
  t.same(await draining, { closed: 2, terminated: 0 })
})

t.test('answers pending and new handshakes with 503, and plain requests as before', async (t) => {
  const reached = deferred()
  const { app, port, url } = await start(t, 0, { onHandshake: async () => { reached.resolve(); await new Promise(() => {}) } })
  const waiting = connectRefused(t, url)
  await reached.promise
  const draining = app.websockets.drain()
  t.match(await waiting, { status: 503, headers: { 'retry-after': '5', connection: 'close' } })
  t.same(await draining, { closed: 0, terminated: 0 })
  const refused = await connectRefused(t, url)
  t.match(refused, { status: 503, headers: { 'retry-after': '5' } })
  t.match(JSON.parse(refused.body), { code: 'FST_ERR_WS_CLOSING' })
  t.equal(await (await fetch(`http://127.0.0.1:${port}/plain`)).text(), 'plain')
})

t.test('terminates what is left when the time is over', async (t) => {
  const { app, port, sockets } = await start(t, 1)
  const silent = await openRaw(t, port)
  const code = closed(sockets[0] as WebSocket)
  const progress: DrainProgress[] = []
  t.same(await app.websockets.drain({ interval: 1, timeout: 2_000, onProgress (now) { progress.push(now) } }), { closed: 1, terminated: 1 })
  t.same(progress.at(-1), { closed: 1, terminated: 1, remaining: 0 })
  t.equal(await code, 1012)
  t.equal((await silent.untilClose()).code, 1012)
  await silent.untilEnd()
})

t.test('the time may be over before the last batch was', async (t) => {
  const { app, sockets } = await start(t, 3)
  const codes = Promise.all(sockets.map(closed))
  t.same(await app.websockets.drain({ batchSize: 1, interval: hour, timeout: 2_000 }), { closed: 1, terminated: 2 })
  t.same((await codes).sort(), [1006, 1006, 1012])
})

t.test('a peer that does not answer does not hold up the others', async (t) => {
  const { app, port, url } = await start(t, 0)
  const silent = await openRaw(t, port)
  const code = closed((await connect(t, url)).socket)
  const draining = app.websockets.drain({ batchSize: 1, interval: 1 })
  t.equal(await code, 1012)
  silent.socket.destroy()
  t.same(await draining, { closed: 2, terminated: 0 })
})

t.test("without a time, each peer has its route's closeTimeout", async (t) => {
  const { app, port } = await start(t, 0, { closeTimeout: 50 })
  const silent = await openRaw(t, port)
  t.same(await app.websockets.drain({ interval: 1 }), { closed: 1, terminated: 0 })
  await silent.untilEnd()
})

t.test('a second call returns the promise of the first', async (t) => {
  const { app } = await start(t, 2)
  const first = app.websockets.drain({ interval: 1 })
  const second = app.websockets.drain({ code: 4000 })
  t.equal(first, second)
  t.same(await second, { closed: 2, terminated: 0 })
  t.same(app.websockets.stats.closed, { 1012: 2 })
})

t.test('takes neither options that do not exist nor a close that cannot be sent, and goes on as before', async (t) => {
  const { app, url } = await start(t, 1)
  const cases: Array<[unknown, object]> = [
    [{ batchsize: 1 }, { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /did you mean "batchSize"/ }],
    [null, { code: 'FST_ERR_WS_OPTION_INVALID', message: /"options" must be an object, got null/ }],
    ...['code', 'reason', 'batchSize', 'interval', 'timeout', 'onProgress'].map((name): [unknown, object] => [{ [name]: {} }, { code: 'FST_ERR_WS_OPTION_INVALID', message: new RegExp(`"${name}"`) }]),
    [{ batchSize: 0 }, { code: 'FST_ERR_WS_OPTION_INVALID' }],
    [{ interval: 0 }, { code: 'FST_ERR_WS_OPTION_INVALID' }],
    [{ code: 1005 }, { code: 'FST_ERR_WS_CLOSE_CODE' }],
    [{ reason: 'x'.repeat(124) }, { code: 'FST_ERR_WS_CLOSE_REASON' }]
  ]
  for (const [options, error] of cases) await t.rejects(app.websockets.drain(options as object), error as Error, JSON.stringify(options))
  await connect(t, url)
  t.equal(app.websockets.size, 2)
  t.same(await app.websockets.drain({ interval: 1 }), { closed: 2, terminated: 0 }, 'a call that was refused has not begun')
})

t.test('goes on when onProgress throws', async (t) => {
  const { app, logs } = await start(t, 2)
  t.same(await app.websockets.drain({ interval: 1, batchSize: 1, onProgress () { throw new Error('no') } }), { closed: 2, terminated: 0 })
  t.match(logs.find(({ msg }) => msg === 'onProgress failed'), { level: 50, err: { message: 'no' } })
})

t.test('goes on when onProgress rejects', async (t) => {
  const { app, logs } = await start(t, 2)
  t.same(await app.websockets.drain({ interval: 1, batchSize: 1, onProgress: async () => { throw new Error('no') } }), { closed: 2, terminated: 0 })
  await eventually(() => logs.filter(({ msg }) => msg === 'onProgress failed').length === 3)
})

t.test('the server may close meanwhile', async (t) => {
  const { app, sockets } = await start(t, 3)
  const codes = Promise.all(sockets.map(closed))
  const draining = app.websockets.drain({ batchSize: 1, interval: hour })
  await once(sockets[0] as WebSocket, 'close')
  await app.close()
  t.same((await codes).sort(), [1001, 1001, 1012])
  t.same(await draining, { closed: 3, terminated: 0 })
})

t.test('connections that leave by themselves meanwhile count as closed', async (t) => {
  const { app, port, sockets } = await start(t, 2)
  const draining = app.websockets.drain({ batchSize: 1, interval: 1_000 })
  sockets[1]?.close(1000)
  const late = await RawClient.connect(t, port)
  late.write(handshake('/'))
  t.equal((await late.head()).status, 503)
  t.same(await draining, { closed: 2, terminated: 0 })
  t.same(app.websockets.stats.closed, { 1000: 1, 1012: 1 })
})
