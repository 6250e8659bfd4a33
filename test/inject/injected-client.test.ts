// What a test asks an injected client for: the next message, and how the connection has closed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import websocket, { type InjectedWebSocket, type NoMessage, type WebSocketRouteOptions } from '../../index.ts'

async function newApp (t: Test, routes: Record<string, Partial<WebSocketRouteOptions>>): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket)
  for (const [path, options] of Object.entries(routes)) app.websocketRoute(path, { onConnection () {}, ...options })
  return app
}

const echo: Partial<WebSocketRouteOptions> = { onMessage (conn, message) { conn.send(message as string) } }

const errorOf = async (promise: Promise<unknown>): Promise<NoMessage> => await promise.then(() => { throw new Error('resolved') }, (error: unknown) => error as NoMessage)

t.test('next() takes each message once and in order, whether it has come or not', async (t) => {
  const app = await newApp(t, { '/': { ...echo, onConnection (conn) { for (const message of ['', 'b', Buffer.from('c')]) conn.send(message) } } })
  const client = await app.injectWebSocket('/')
  await once(client, 'message')
  await new Promise(setImmediate)
  t.same([await client.next(), await client.next(), await client.next({ timeout: 1_000 })], ['', 'b', Buffer.from('c')])
  const waiting = [client.next(), client.next(), client.next({ timeout: undefined })]
  for (const message of ['1', '2', '3', '4']) client.send(message)
  t.same(await Promise.all(waiting), ['1', '2', '3'])
  t.same(await client.messages().next(), { value: '4', done: false })
})

t.test('next() says after its time-out what had come, and how the connection is', async (t) => {
  const app = await newApp(t, { '/': echo })
  const client = await app.injectWebSocket('/')
  t.match(await errorOf(client.next({ timeout: 10 })), {
    code: 'FST_ERR_WS_NEXT', message: 'client.next() got no message: none came within 10 ms, the connection is open, no message had come before', received: [], close: null
  })
  for (const message of ['1', '2', '3', '4', Buffer.from('5'), '6'.repeat(1_000)]) {
    client.send(message)
    await client.next()
  }
  const error = await errorOf(client.next({ timeout: 10 }))
  t.match(error.message, /^client\.next\(\) got no message: none came within 10 ms, the connection is open, before came 6, the last of them '2', '3', '4', <Buffer 35>, '6{100}'\.\.\. 900 more characters$/)
  t.same(error.received, ['2', '3', '4', Buffer.from('5'), '6'.repeat(1_000)])
  client.send('late')
  t.equal(await client.next(), 'late', 'is for the next one')
})

t.test('next() has a time-out of 2 seconds unless it is told another', async (t) => {
  const app = await newApp(t, { '/': {} })
  const client = await app.injectWebSocket('/')
  const since = performance.now()
  t.match(await errorOf(client.next()), { message: /none came within 2000 ms/ })
  t.ok(performance.now() - since > 1_900)
})

t.test('next() hands out what had come before a close, and rejects then with its code and reason', async (t) => {
  const app = await newApp(t, {
    '/': { onConnection (conn) { conn.send('last'); conn.close(4000, 'enough') } },
    '/cut': { onConnection (conn) { conn.terminate() } }
  })
  const client = await app.injectWebSocket('/')
  const last = client.next()
  const waiting = errorOf(client.next())
  t.equal(await last, 'last')
  const expected = {
    code: 'FST_ERR_WS_NEXT',
    message: "client.next() got no message: the connection has closed, the code is 4000, the reason 'enough', before came 1, the last of them 'last'",
    received: ['last'],
    close: { code: 4000, reason: 'enough' }
  }
  t.match(await waiting, expected)
  t.match(await errorOf(client.next()), expected, 'and from then on at once')
  const cut = await app.injectWebSocket('/cut')
  t.match(await errorOf(cut.next()), { message: /the code is 1006, the reason ''/, close: { code: 1006, reason: '' } })
})

t.test('next() says that the connection is closing', async (t) => {
  const app = await newApp(t, { '/': { onConnection (conn) { conn.pause() } } })
  const client = await app.injectWebSocket('/')
  client.close(4000)
  t.match(await errorOf(client.next({ timeout: 10 })), { message: /none came within 10 ms, the connection is closing,/, close: null })
})

t.test('nextJson() parses the next message, and quotes what is no JSON', async (t) => {
  const app = await newApp(t, { '/': echo })
  const client = await app.injectWebSocket('/')
  for (const message of ['{"a":1}', '{a:1}', Buffer.from('{}'), 'null']) client.send(message)
  t.same(await client.nextJson<{ a: number }>(), { a: 1 })
  await t.rejects(client.nextJson(), { code: 'FST_ERR_WS_NEXT_JSON', message: "client.nextJson() got what is no JSON: '{a:1}'", cause: SyntaxError } as object as Error)
  await t.rejects(client.nextJson(), { code: 'FST_ERR_WS_NEXT_JSON', message: 'client.nextJson() got what is no JSON: a binary message: <Buffer 7b 7d>' } as object as Error)
  t.equal(await client.nextJson({ timeout: 1_000 }), null)
  await t.rejects(client.nextJson({ timeout: 10 }), { code: 'FST_ERR_WS_NEXT' } as object as Error)
})

t.test('next() refuses options that are none', async (t) => {
  const app = await newApp(t, { '/': {} })
  const client = await app.injectWebSocket('/') as unknown as Record<'next' | 'nextJson', (options: unknown) => Promise<unknown>>
  for (const method of ['next', 'nextJson'] as const) {
    await t.rejects(client[method](null), { code: 'FST_ERR_WS_OPTION_INVALID' } as object as Error)
    await t.rejects(client[method]({ timeout: 0 }), { code: 'FST_ERR_WS_OPTION_INVALID', message: /"timeout"/ } as object as Error)
    await t.rejects(client[method]({ timout: 10 }), { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /did you mean "timeout"/ } as object as Error)
  }
})

t.test('closed says how the connection has closed, whoever closes it, and does not mind if nobody asks', async (t) => {
  const app = await newApp(t, {
    '/': echo,
    '/throws': { onConnection () { throw new Error('no') } },
    '/terminates': { onConnection (conn) { conn.terminate() } },
    '/silent': { onConnection (conn) { conn.close() } }
  })
  const open = async (path: string): Promise<InjectedWebSocket> => await app.injectWebSocket(path)
  t.same(await (await open('/throws')).closed, { code: 1011, reason: '' })
  t.same(await (await open('/terminates')).closed, { code: 1006, reason: '' })
  t.same(await (await open('/silent')).closed, { code: 1005, reason: '' })
  const [byClient, byServer] = [await open('/'), await open('/')]
  byClient.close(4000, 'bye')
  t.same(await byClient.closed, { code: 4000, reason: 'bye' })
  await app.close()
  t.same(await byServer.closed, { code: 1001, reason: 'The server is closing' })
  t.same(await byServer.closed, { code: 1001, reason: 'The server is closing' }, 'also afterwards')
})

t.test('a client that does not take the 101 says so, and why', async (t) => {
  const app = await newApp(t, {
    '/': {},
    '/wrong': { onHandshake (_conn, { raw: { socket } }) { socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: none\r\n\r\n') } }
  })
  await t.rejects(app.injectWebSocket('/', { protocols: ['chat.v2', 'chat.v1'] }), {
    code: 'FST_ERR_WS_INJECT_ANSWER',
    message: 'The WebSocket handshake for ws://localhost/ was accepted by the server, but the client refused the 101: it had offered the subprotocols chat.v2, chat.v1, and none was chosen, by "protocols" of the route or conn.acceptWith({ protocol })',
    cause: Error
  } as object as Error)
  await t.rejects(app.injectWebSocket('/wrong'), { code: 'FST_ERR_WS_INJECT_ANSWER', message: /refused the 101: .*Sec-WebSocket-Accept/ } as object as Error)
})

t.test('inject() on a WebSocket path is told of injectWebSocket(), and a client of the network is not', async (t) => {
  const app = await newApp(t, { '/': {} })
  const injected = await app.inject('/')
  t.equal(injected.statusCode, 426)
  t.equal(injected.json<{ message: string }>().message, 'This is a WebSocket endpoint: connect with fastify.injectWebSocket(), in place of fastify.inject()')
  const response = await fetch(await app.listen({ port: 0 }))
  t.match(await response.json(), { statusCode: 426, message: 'This is a WebSocket endpoint: connect with a WebSocket client' })
})

t.test('an open client does not keep the process alive', async (t) => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../support/injected-client.js', import.meta.url))], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill())
  const output = text(child.stdout)
  const [code] = await once(child, 'exit')
  t.equal(code, 0)
  t.equal(await output, 'hello\nFST_ERR_WS_NEXT\n')
})
