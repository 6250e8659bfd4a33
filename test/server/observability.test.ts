// What can be seen of a server: the channels of node:diagnostics_channel, and the lines of the log.
import { AsyncLocalStorage } from 'node:async_hooks'
import { type ChannelListener, channel, subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { CloseEvent, ErrorEvent, HandshakeTrace, MessageEvent, OpenEvent, WebSocketPluginOptions } from '../../index.ts'
import * as channels from '../../lib/channels.ts'
import { startApp } from '../support/app.ts'
import { closed, connect, connectRefused, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { handshake, RawClient } from '../support/raw.ts'

const TRACING = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const
const traceName = (event: string): string => `tracing:fastify-websocket-route.handshake:${event}`

/** What is published on a channel until the test ends. */
function listen<Event> (t: Test, name: string): Event[] {
  const events: Event[] = []
  const listener: ChannelListener = (message) => { events.push(message as Event) }
  subscribe(name, listener)
  t.teardown(() => unsubscribe(name, listener))
  return events
}

t.test('the names are those of the docs', async (t) => {
  const docs = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const { handshakeChannel, ...rest } = channels
  for (const event of TRACING) t.equal(handshakeChannel[event], tracingChannel('fastify-websocket-route.handshake')[event])
  t.same(Object.values(rest).map(({ name }) => name).sort(), ['close', 'error', 'message.received', 'message.sent', 'open'].map((name) => `fastify-websocket-route.${name}`))
  for (const { name } of Object.values(rest)) t.ok(docs.includes(`| \`${String(name)}\` |`), String(name))
  for (const event of TRACING) t.ok(docs.includes(`handshake:${event}`) || docs.includes(`\`:${event}\``), event)
})

t.test('each event has the fields that the docs have', async (t) => {
  const docs = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const [, table = ''] = /\| type \| field \| \|\n\|---\|---\|---\|\n([^]*?)\n\n/.exec(docs) ?? []
  const documented: Record<string, string[]> = {}
  let type = ''
  for (const row of table.split('\n')) {
    const [, first = '', fields = ''] = /^\| (.*?) ?\| (.*?) ?\| /.exec(row) ?? []
    type = first || type
    documented[type] = [...documented[type] ?? [], ...[...fields.matchAll(/`(\w+)`/g)].map(([, field]) => String(field))]
  }
  const events = Object.fromEntries(['open', 'message.received', 'message.sent', 'close', 'error'].map((name) => [name, listen<object>(t, `fastify-websocket-route.${name}`)]))
  const { traces } = trace(t)
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onMessage (conn, message) { conn.send(message as string); throw new Error('no') } })
    app.websocketRoute('/no', { onHandshake () { throw new Error('no') } })
  })
  await connectRefused(t, `ws://127.0.0.1:${port}/no`)
  t.same([...traces].map((trace) => Object.keys(trace).sort()), [documented['`HandshakeTrace`']?.toSorted()])
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.send('x')
  await closed(socket)
  await eventually(() => events.close?.length === 1)
  const types = { open: 'OpenEvent', 'message.received': 'MessageEvent', 'message.sent': 'MessageEvent', close: 'CloseEvent', error: 'ErrorEvent' }
  for (const [name, type] of Object.entries(types)) {
    const expected = [...documented['all of the others'] ?? [], ...documented[`\`${type}\``] ?? []].sort()
    t.ok(expected.length >= 2)
    t.same(events[name]?.map((event) => Object.keys(event).sort()), [expected], name)
  }
})

t.test('open, messages and close of a connection', async (t) => {
  const opened = listen<OpenEvent>(t, 'fastify-websocket-route.open')
  const received = listen<MessageEvent>(t, 'fastify-websocket-route.message.received')
  const sent = listen<MessageEvent>(t, 'fastify-websocket-route.message.sent')
  const closes = listen<CloseEvent>(t, 'fastify-websocket-route.close')
  const order: string[] = []
  const { port, app } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      schema: { send: { type: 'object', properties: { a: { type: 'integer' } } } },
      onConnection () { order.push(`onConnection after ${opened.length}`) },
      onMessage (conn, message) {
        order.push(`onMessage after ${received.length}`)
        if (message === 'big') conn.send(Buffer.alloc(10_000))
        else conn.sendMessage({ a: 1 })
      },
      onClose () { order.push(`onClose after ${closes.length}`) }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  for (const message of ['x', 'big']) {
    socket.send(message)
    await nextMessage(socket)
  }
  app.websockets.broadcast({ a: 2 })
  await nextMessage(socket)
  socket.send(Buffer.from('bytes'))
  await nextMessage(socket)
  const [conn] = app.websockets
  socket.close(4000, 'bye')
  await eventually(() => order.length === 5)
  t.same(order, ['onConnection after 1', 'onMessage after 1', 'onMessage after 2', 'onMessage after 3', 'onClose after 1'])
  t.equal(opened[0]?.connection, conn)
  for (const { connection, route } of [...opened, ...received, ...sent, ...closes]) t.same([connection === conn, route], [true, '/'])
  t.same(received.map(({ data, isBinary }) => [String(data as Buffer), isBinary]), [['x', false], ['big', false], ['bytes', true]])
  t.same(sent.map(({ data, isBinary }) => [(data as Buffer).length, isBinary]), [[7, false], [10_000, true], [7, false], [7, false]])
  const [{ duration = -1, ...close } = {}] = closes
  t.match(close, { code: 4000, reason: 'bye', initiator: 'peer' })
  t.ok(duration > 0)
})

t.test('errors, before onError', async (t) => {
  const errors = listen<ErrorEvent>(t, 'fastify-websocket-route.error')
  const handled: number[] = []
  const failure = new Error('no')
  const { port, app } = await startApp(t, (app) => {
    app.websocketRoute('/', { onMessage () { throw failure }, onError (conn) { handled.push(errors.length); conn.close(4001) } })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  const [conn] = app.websockets
  socket.send('x')
  t.equal(await closed(socket), 4001)
  t.same(handled, [1])
  t.equal(errors[0]?.error, failure)
  t.equal(errors[0]?.connection, conn)
  t.equal(errors[0]?.route, '/')
})

/** Each event of handshakes: its name, and the status that is known by then. */
function trace (t: Test): { events: Array<readonly [string, number | undefined]>, traces: Set<HandshakeTrace> } {
  const events: Array<readonly [string, number | undefined]> = []
  const traces = new Set<HandshakeTrace>()
  const subscribers = Object.fromEntries(TRACING.map((event) => [event, (message: object) => {
    const trace = message as HandshakeTrace
    traces.add(trace)
    events.push([event, trace.statusCode])
  }])) as Record<typeof TRACING[number], (message: object) => void>
  const handshakes = tracingChannel<object>('fastify-websocket-route.handshake')
  handshakes.subscribe(subscribers)
  t.teardown(() => handshakes.unsubscribe(subscribers))
  return { events, traces }
}

t.test('a handshake is traced from the first hook to its answer', async (t) => {
  const { events, traces } = trace(t)
  const hold = deferred()
  const { port, app } = await startApp(t, async (app) => {
    app.addHook('onRequest', async () => { events.push(['a hook', undefined]) })
    await app.register(async (child) => { child.websocketRoute('/:id', { handler: async () => 'plain', onConnection () {} }) }, { prefix: '/v1' })
    app.websocketRoute('/rejects', { onHandshake (conn) { conn.reject({ code: 401 }) } })
    app.websocketRoute('/throws', { async onHandshake () { throw Object.assign(new Error('no'), { statusCode: 418 }) } })
    app.websocketRoute('/hook', { preHandler: async () => { throw Object.assign(new Error('no'), { statusCode: 409 }) }, onConnection () {} })
    app.websocketRoute('/bad', { onConnection () {} })
    app.websocketRoute('/hangs', { onHandshake: async () => { await hold.promise } })
  })
  const ws = `ws://127.0.0.1:${port}`
  const take = (): unknown => {
    const result = [events.splice(0), [...traces].map(({ route, statusCode, error, request }) => [route, statusCode, (error as { code?: string, message?: string } | undefined)?.message, request.url])]
    traces.clear()
    return result
  }
  await connect(t, `${ws}/v1/a`)
  t.same(take(), [
    [['start', undefined], ['a hook', undefined], ['end', undefined], ['asyncStart', 101], ['asyncEnd', 101]],
    [['/v1/:id', 101, undefined, '/v1/a']]
  ])
  const refused = (status: number, message: string | undefined): unknown[] => [...message === undefined ? [] : [['error', status]], ['asyncStart', status], ['asyncEnd', status]]
  for (const [path, status, message] of [['/rejects', 401, undefined], ['/throws', 418, 'no'], ['/hook', 409, 'no']] as const) {
    await connectRefused(t, ws + path)
    t.same(take(), [[['start', undefined], ['a hook', undefined], ['end', undefined], ...refused(status, message)], [[path, status, message, path]]], path)
  }
  const { status } = await connectRefused(t, `${ws}/bad`, [], { headers: { origin: 'https://evil.example' } })
  t.equal(status, 403)
  t.match(take(), [[['start', undefined], ['error', 403], ['asyncStart', 403], ['asyncEnd', 403], ['end', 403]], [['/bad', 403, /evil\.example/, '/bad']]])

  const client = await RawClient.connect(t, port)
  client.write(handshake('/hangs'))
  await eventually(() => app.websockets.stats.pending === 1)
  client.socket.destroy()
  await eventually(() => app.websockets.stats.aborted === 1)
  hold.resolve()
  t.match(take(), [[['start', undefined], ['a hook', undefined], ['end', undefined], ['asyncStart', 0], ['asyncEnd', 0]], [['/hangs', 0, undefined, '/hangs']]])

  // Not handshakes on a route of ours.
  await connectRefused(t, `${ws}/none`)
  t.equal(await (await fetch(`http://127.0.0.1:${port}/v1/a`)).text(), 'plain')
  t.match(events.filter(([name]) => name !== 'a hook'), [])
})

t.test('a store that is bound to the start is there for hooks and callbacks', async (t) => {
  const storage = new AsyncLocalStorage<string>()
  const start = channel(traceName('start'))
  start.bindStore(storage, (message) => `trace of ${(message as HandshakeTrace).request.url}`)
  t.teardown(() => start.unbindStore(storage))
  const seen: Record<string, string | undefined> = {}
  const { port } = await startApp(t, (app) => {
    app.addHook('onRequest', async () => { seen.onRequest = storage.getStore() })
    app.websocketRoute('/', {
      preHandler: async () => { await null; seen.preHandler = storage.getStore() },
      onHandshake () { seen.onHandshake = storage.getStore() },
      async onConnection () { seen.onConnection = storage.getStore() },
      onMessage (conn) { seen.onMessage = storage.getStore(); conn.close() },
      onClose () { seen.onClose = storage.getStore() }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.send('x')
  await eventually(() => 'onClose' in seen)
  for (const name of ['onRequest', 'preHandler', 'onHandshake', 'onConnection', 'onMessage', 'onClose']) t.equal(seen[name], 'trace of /', name)
})

t.test('a subscriber that throws does not harm the connection', async (t) => {
  const uncaught: unknown[] = []
  const listener = (error: unknown): void => { uncaught.push(error) }
  const names = ['open', 'message.received', 'message.sent', 'close', 'error'].map((name) => `fastify-websocket-route.${name}`)
  const fail = (): never => { throw new Error('a subscriber') }
  for (const name of [...names, ...TRACING.map(traceName)]) subscribe(name, fail)
  // Node's own: what a subscriber throws is thrown again, as uncaught.
  process.on('uncaughtException', listener)
  t.teardown(() => {
    for (const name of [...names, ...TRACING.map(traceName)]) unsubscribe(name, fail)
    process.off('uncaughtException', listener)
  })
  const { port } = await startApp(t, (app) => { app.websocketRoute('/', { onMessage (conn, message) { conn.sendMessage(message) } }) })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.send('x')
  t.equal(await nextMessage(socket), 'x')
  const code = closed(socket)
  socket.close(4000)
  t.equal(await code, 4000)
  t.ok(uncaught.length > 0)
})

// ---- the log ------------------------------------------------------------------------------------------------------------

interface Line { level: number, msg: string, reqId?: string, [field: string]: unknown }

async function linesFor (
  t: Test, run: (ws: string) => Promise<unknown>, plugin: WebSocketPluginOptions = {}, options: object = {}, server: object = {}, isOurs = (msg: string) => msg.startsWith('WebSocket ')
): Promise<Line[]> {
  const { app, port, logs } = await startApp(t, async (app) => {
    app.websocketRoute('/', { onConnection () {}, ...options })
    app.websocketRoute('/rejects', { onHandshake (conn) { conn.reject({ code: 401 }) }, ...options })
    app.websocketRoute('/throws', { onHandshake () { throw Object.assign(new Error('because'), { statusCode: 418 }) }, ...options })
    app.websocketRoute('/hook', { preHandler: async (_request, reply) => await reply.code(409).send('x'), onConnection () {}, ...options })
    await app.register(async (child) => {
      child.websocketRoute('/:room', {
        onHandshake (conn) { if (conn.request.url.endsWith('/closed')) conn.reject({ code: 403, body: { no: 1 }, headers: { 'x-a': 'b' }, logReason: 'the room is closed' }) }
      })
    }, { prefix: '/rooms' })
  }, { plugin, server: { genReqId: ({ url }) => `request for ${url ?? ''}`, ...server } })
  await run(`ws://127.0.0.1:${port}`)
  await app.close()
  return logs.filter(({ msg }) => isOurs(msg)) as unknown as Line[]
}

async function openAndClose (t: Test, ws: string, path = '/'): Promise<void> {
  const { socket } = await connect(t, ws + path)
  const code = closed(socket)
  socket.close(4000, 'bye')
  await code
}

t.test('logs what was opened and closed at info, with connId and reqId', async (t) => {
  const lines = await linesFor(t, async (ws) => await openAndClose(t, ws))
  t.match(lines, [
    { level: 30, msg: 'WebSocket opened', reqId: 'request for /', connId: Number },
    {
      level: 30,
      msg: 'WebSocket closed',
      reqId: 'request for /',
      connId: lines[0]?.connId as number,
      code: 4000,
      reason: 'bye',
      initiator: 'peer',
      duration: Number,
      received: { messages: 0, bytes: 0 },
      sent: { messages: 0, bytes: 0 }
    }
  ])
})

t.test('logs what was refused at info, with status and reason', async (t) => {
  const lines = await linesFor(t, async (ws) => {
    for (const path of ['/rejects', '/throws', '/hook', '/none']) await connectRefused(t, ws + path)
    await connectRefused(t, `${ws}/`, [], { headers: { origin: 'https://evil.example' } })
    await connectRefused(t, `${ws}/`, [], { headers: { 'sec-websocket-protocol': 'a,,b' } })
  })
  t.match(lines.map(({ level, msg, reqId, statusCode, reason }) => [level, msg, reqId, statusCode, reason]), [
    [30, 'WebSocket handshake refused', 'request for /rejects', 401, 'conn.reject()'],
    [30, 'WebSocket handshake refused', 'request for /throws', 418, 'because'],
    [30, 'WebSocket handshake refused', 'request for /hook', 409, 'Conflict'],
    [30, 'WebSocket handshake refused', 'request for /', 403, 'FST_ERR_WS_ORIGIN'],
    [30, 'WebSocket handshake refused', 'request for /', 400, 'FST_ERR_WS_PROTOCOL_LIST']
  ])
})

t.test('names the route, as it was declared, and the address', async (t) => {
  const lines = await linesFor(t, async (ws) => {
    await openAndClose(t, ws, '/rooms/tea?x=1')
    await connectRefused(t, `${ws}/rooms/closed`)
  }, {}, {}, { trustProxy: true })
  t.same(lines.map(({ msg, route, ip }) => [msg, route, ip]), [
    ['WebSocket opened', '/rooms/:room', '127.0.0.1'],
    ['WebSocket closed', '/rooms/:room', undefined],
    ['WebSocket handshake refused', '/rooms/:room', '127.0.0.1']
  ])
})

t.test('conn.reject() may say why, for the log alone', async (t) => {
  let refused: Awaited<ReturnType<typeof connectRefused>> | undefined
  const lines = await linesFor(t, async (ws) => { refused = await connectRefused(t, `${ws}/rooms/closed`) }, {}, {}, {}, () => true)
  t.same(lines.filter((line) => JSON.stringify(line).includes('the room is closed')).map(({ msg, reason, statusCode }) => [msg, reason, statusCode]), [
    ['WebSocket handshake refused', 'the room is closed', 403]
  ])
  t.same([refused?.status, refused?.body, refused?.headers['x-a']], [403, '{"no":1}', 'b'])
  t.notMatch(JSON.stringify(refused), /room is closed/)
})

t.test('a reason for the log that is no string is an error, which changes nothing', async (t) => {
  const errors: unknown[] = []
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onHandshake (conn) {
        for (const logReason of [1, null, new Error('no')]) {
          try { conn.reject({ logReason: logReason as unknown as string }) } catch (error) { errors.push(error) }
        }
        conn.reject({ code: 401, logReason: undefined })
      }
    })
  })
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/`)).status, 401)
  t.match(errors, ['1', 'null', /Error: no/].map((got) => ({
    code: 'FST_ERR_WS_ARGUMENT', message: typeof got === 'string' ? `conn.reject() takes a "logReason" that is a string, got ${got}` : got
  })))
})

t.test('the refusal of an origin has no stack, and its line says which it was', async (t) => {
  const origin = `https://${'x'.repeat(300)}.example`
  const run = async (ws: string): Promise<void> => { await connectRefused(t, `${ws}/`, [], { headers: { origin } }) }
  const lines = await linesFor(t, run, {}, {}, {}, () => true)
  for (const line of lines) t.notMatch(JSON.stringify(line), /\\n|\.[jt]s:\d/, line.msg)
  t.same(lines.filter(({ msg }) => msg.startsWith('WebSocket ')).map(({ msg, reason, origin }) => [msg, reason, origin]), [
    ['WebSocket handshake refused', 'FST_ERR_WS_ORIGIN', `${origin.slice(0, 200)}\u2026`]
  ])
  const alone = await linesFor(t, run, {}, {}, { disableRequestLogging: true }, (msg) => !/^Server listening/.test(msg))
  t.same(alone.map(({ msg }) => msg), ['WebSocket handshake refused'], 'one line where Fastify has none of its own')
})

t.test('the lines say whose they are where Fastify does not log requests', async (t) => {
  const lines = await linesFor(t, async (ws) => {
    await openAndClose(t, ws, '/rooms/tea')
    await connectRefused(t, `${ws}/throws`)
  }, {}, {}, { disableRequestLogging: true }, (msg) => !/^Server listening/.test(msg))
  const connId = lines[0]?.connId
  t.type(connId, 'number')
  t.same(lines.map(({ msg, reqId, connId, route, ip }) => [msg, reqId, connId, route, ip]), [
    ['WebSocket opened', 'request for /rooms/tea', connId, '/rooms/:room', '127.0.0.1'],
    ['WebSocket closed', 'request for /rooms/tea', connId, '/rooms/:room', undefined],
    ['WebSocket handshake refused', 'request for /throws', undefined, '/throws', '127.0.0.1']
  ])
})

t.test('levels can be set on the plugin and on a route, and for each line alone', async (t) => {
  const run = async (ws: string): Promise<void> => {
    await openAndClose(t, ws)
    await connectRefused(t, `${ws}/rejects`)
  }
  const levels = async (plugin: WebSocketPluginOptions, options: object): Promise<unknown> => (await linesFor(t, run, plugin, options)).map(({ level, msg }) => [msg.split(' ').at(-1), level])
  t.same(await levels({ logLevels: { opened: 'debug' } }, {}), [['opened', 20], ['closed', 30], ['refused', 30]])
  t.same(await levels({ logLevels: { opened: 'debug', refused: 'warn' } }, { logLevels: { opened: 'trace', closed: undefined } }), [['opened', 10], ['closed', 30], ['refused', 40]])
  t.same(await levels({ logLevels: { opened: 'silent', closed: 'silent', refused: 'silent' } }, {}), [])
  t.same(await levels({}, { logLevels: { closed: 'silent' } }), [['opened', 30], ['refused', 30]])
  t.same(await levels({}, { logLevel: 'warn', logLevels: { refused: 'error' } }), [['refused', 50]], "Fastify's own logLevel hides what is below it")
})

t.test('refuses levels that do not exist', async (t) => {
  const { app } = await startApp(t, () => {})
  for (const logLevels of ['info', null, { opened: 'loud' }, { connected: 'info' }, { opened: 30 }]) {
    t.throws(() => app.websocketRoute('/x', { logLevels: logLevels as object, onConnection () {} }), { code: 'FST_ERR_WS_OPTION_INVALID', message: /"logLevels" must be an object/ })
  }
})
