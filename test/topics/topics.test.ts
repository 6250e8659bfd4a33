// Topics: who subscribes gets what is published, each message once and in order, and nothing is left behind.
import t, { type Test } from 'tap'
import type { WebSocketConnection, WebSocketPluginOptions, WebSocketRouteOptions } from '../../index.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { closed, connect, connectRefused } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, handshake, openRaw, RawClient, textFrame } from '../support/raw.ts'

interface Started extends TestApp {
  url: string
  /** A client, what it has received, and its connection. */
  join (path: string, options?: object): Promise<{ socket: Awaited<ReturnType<typeof connect>>['socket'], seen: string[], conn: WebSocketConnection }>
}

async function start (t: Test, routes: Record<string, Partial<WebSocketRouteOptions>> = { '/': {} }, plugin: WebSocketPluginOptions = {}): Promise<Started> {
  const started = await startApp(t, (app) => {
    for (const [path, options] of Object.entries(routes)) app.websocketRoute(path, { onConnection () {}, ...options })
  }, { plugin })
  const url = `ws://127.0.0.1:${started.port}`
  const { websockets } = started.app
  return {
    ...started,
    url,
    async join (path, options = {}) {
      const known = new Set(websockets)
      const { socket } = await connect(t, `${url}${path}`, [], options)
      const seen: string[] = []
      socket.on('message', (data, isBinary) => seen.push(`${isBinary ? 'binary ' : ''}${String(data as Buffer)}`))
      const [conn] = [...websockets].filter((candidate) => !known.has(candidate))
      return { socket, seen, conn: conn as WebSocketConnection }
    }
  }
}

t.test('who subscribes gets what is published: strings, binary data and JSON', async (t) => {
  const { app: { websockets }, join } = await start(t)
  const [a, b, c] = [await join('/'), await join('/'), await join('/')]
  a.conn.subscribe('tea')
  b.conn.subscribe('tea')
  b.conn.subscribe('cake')
  t.same([a.conn.topics, b.conn.topics, c.conn.topics], [['tea'], ['tea', 'cake'], []])
  t.same(['tea', 'cake', 'jam'].map((topic) => websockets.subscribers(topic)), [2, 1, 0])
  t.equal(websockets.stats.topics, 2)
  t.equal(websockets.publish('tea', 'text'), 2)
  t.equal(websockets.publish('cake', Buffer.from('bytes')), 1)
  t.equal(websockets.publish('tea', new TextEncoder().encode('buffer').buffer), 2)
  t.equal(websockets.publish('tea', { json: true }), 2)
  t.equal(websockets.publish('jam', 'nobody'), 0)
  await eventually(() => b.seen.length === 4)
  t.same(a.seen, ['text', 'binary buffer', '{"json":true}'])
  t.same(b.seen, ['text', 'binary bytes', 'binary buffer', '{"json":true}'])
  t.same(c.seen, [])
  t.same(websockets.stats.sent, { messages: 7, bytes: 2 * 4 + 5 + 2 * 6 + 2 * 13 })
})

t.test('a connection publishes to all but itself, whether it subscribes or not', async (t) => {
  const { join } = await start(t)
  const [a, b, c] = [await join('/'), await join('/'), await join('/')]
  a.conn.subscribe('tea')
  b.conn.subscribe('tea')
  t.equal(a.conn.publish('tea', 'from a'), 1)
  t.equal(c.conn.publish('tea', 'from c'), 2)
  t.equal(a.conn.publish('cake', 'from a'), 0)
  await eventually(() => b.seen.length === 2 && a.seen.length === 1)
  t.same([a.seen, b.seen, c.seen], [['from c'], ['from a', 'from c'], []])
})

t.test('a second subscription is the first, and one unsubscription ends it', async (t) => {
  const { app: { websockets }, join } = await start(t)
  const { conn, seen } = await join('/')
  for (let i = 0; i < 2; i++) conn.subscribe('tea')
  conn.subscribe('cake')
  conn.subscribe('cake')
  t.same([conn.topics, websockets.publish('tea', '1'), websockets.publish('cake', '2')], [['tea', 'cake'], 1, 1])
  conn.unsubscribe('tea')
  conn.unsubscribe('tea')
  conn.unsubscribe('jam')
  t.same([conn.topics, websockets.publish('tea', '3'), websockets.publish('cake', '4')], [['cake'], 0, 1])
  conn.unsubscribe('cake')
  t.same([conn.topics, websockets.publish('cake', '5'), websockets.stats.topics], [[], 0, 0])
  conn.subscribe('tea')
  websockets.publish('tea', '6')
  await eventually(() => seen.length === 4)
  t.same(seen, ['1', '2', '4', '6'])
})

t.test('no character of a topic has a meaning of its own', async (t) => {
  const { app: { websockets }, join } = await start(t)
  const { conn, seen } = await join('/')
  const topics = ['a', 'a/b', 'a/+', '#', '*', 'a.b', ' ', '__proto__', 'é', 'e\u0301', '\0', '\u{1f600}', 'x'.repeat(255)]
  for (const topic of topics) conn.subscribe(topic)
  t.same(conn.topics, topics)
  for (const topic of topics) t.equal(websockets.publish(topic, topic), 1)
  await eventually(() => seen.length === topics.length)
  t.same(seen, topics)
})

t.test('a topic that is none is refused by every call', async (t) => {
  const { app: { websockets }, join } = await start(t)
  const { conn } = await join('/')
  for (const [topic, got] of [
    ['', "''"], ['x'.repeat(256), /^'x{60}'\.\.\. 196 more characters$/], ['€'.repeat(86), /^'€{60}'\.\.\. 26 more characters$/],
    ['a\ud800', /^'a\\uD800'$/i], [1, '1'], [undefined, 'undefined'], [{ a: { b: 1 } }, '{ a: [Object] }']
  ] as Array<[string, string | RegExp]>) {
    for (const call of [
      () => conn.subscribe(topic), () => conn.unsubscribe(topic), () => conn.publish(topic, 'x'), () => websockets.publish(topic, 'x'), () => websockets.subscribers(topic)
    ]) {
      try {
        call()
        t.fail('nothing was thrown')
      } catch (error) {
        const { code, message } = error as { code: string, message: string }
        t.equal(code, 'FST_ERR_WS_TOPIC')
        t.ok(error instanceof TypeError)
        t.match(message.replace('A topic must be a string of 1 to 255 bytes, got ', ''), got)
      }
    }
  }
  t.equal(websockets.stats.topics, 0)
})

t.test('during the handshake there is nothing to subscribe yet, nor after a refusal', async (t) => {
  const errors: unknown[] = []
  let refused: WebSocketConnection | undefined
  const admission = (conn: WebSocketConnection): void => {
    for (const call of [() => conn.subscribe('tea'), () => conn.unsubscribe('tea'), () => conn.publish('tea', 'x')]) {
      try { call() } catch (error) { errors.push([(error as { code: string }).code, (error as Error).message]) }
    }
  }
  const { app: { websockets }, join, url } = await start(t, {
    '/': { onHandshake: admission },
    '/no': { onHandshake (conn) { refused = conn; conn.reject() } }
  })
  const { conn } = await join('/')
  await connectRefused(t, `${url}/no`)
  admission(refused as WebSocketConnection)
  const messages = ['subscribe', 'unsubscribe', 'publish'].map((method) =>
    ['FST_ERR_WS_NOT_OPEN', `conn.${method}() was called during the handshake, when there is no open WebSocket yet: ${method} in onConnection`])
  t.same(errors, [...messages, ...messages])
  t.same([conn.topics, refused?.topics, websockets.stats.topics], [[], [], 0])
})

const endings: Record<string, (client: RawClient, conn: WebSocketConnection) => unknown> = {
  'the peer closes': (client) => client.write(closeFrame(1000)),
  'the peer resets': (client) => client.socket.resetAndDestroy(),
  'the peer ends its side': (client) => client.socket.end(),
  'the peer breaks the protocol': (client) => client.write(Buffer.from([0x81, 0x01, 0x61])),
  'the server closes': (_client, conn) => conn.close(1000),
  'the server closes and the peer does not answer': (client, conn) => { client.socket.pause(); conn.close(1000) },
  'the server terminates': (_client, conn) => conn.terminate(),
  'a callback throws': (client) => client.write(textFrame('throw'))
}
for (const [how, end] of Object.entries(endings)) {
  t.test(`the subscriptions of a connection end when ${how}`, async (t) => {
    const connection = deferred<WebSocketConnection>()
    const topicsAtClose = deferred<readonly string[]>()
    const { app: { websockets }, port, join } = await start(t, {
      '/': {
        closeTimeout: 50,
        onConnection (conn) {
          for (const topic of ['tea', 'cake', 'jam']) conn.subscribe(topic)
          connection.resolve(conn)
        },
        onMessage () { throw new Error('broken') },
        onClose (conn) {
          conn.publish('tea', 'somebody left', { self: true })
          conn.subscribe('tea')
          conn.unsubscribe('jam')
          topicsAtClose.resolve(conn.topics)
        }
      },
      '/other': { onConnection (conn) { conn.subscribe('tea') } }
    })
    const other = await join('/other')
    const client = await openRaw(t, port)
    const conn = await connection.promise
    t.same([websockets.subscribers('tea'), websockets.stats.topics], [2, 3])
    end(client, conn)
    t.same(await topicsAtClose.promise, ['tea', 'cake', 'jam'], 'what it subscribed to')
    await eventually(() => websockets.size === 1)
    conn.subscribe('cake')
    t.same(conn.topics, ['tea', 'cake', 'jam'])
    t.same([websockets.subscribers('tea'), websockets.subscribers('cake'), websockets.stats.topics], [1, 0, 1])
    await eventually(() => other.seen.length === 1)
    t.same(other.seen, ['somebody left'])
  })
}

t.test('all subscriptions end with the server', async (t) => {
  const { app, join } = await start(t)
  for (let i = 0; i < 3; i++) (await join('/')).conn.subscribe(`topic ${i}`)
  await app.close()
  t.same([app.websockets.stats.topics, app.websockets.publish('topic 1', 'x')], [0, 0])
})

t.test('a connection that closes is not sent to, and subscribes to nothing more', async (t) => {
  const { app: { websockets }, port, join } = await start(t)
  const other = await join('/')
  other.conn.subscribe('tea')
  const client = await openRaw(t, port)
  const conn = [...websockets][1]
  conn?.subscribe('tea')
  conn?.close(4000)
  conn?.subscribe('cake')
  t.same([websockets.publish('tea', 'x'), websockets.subscribers('tea'), websockets.subscribers('cake')], [1, 2, 0])
  await client.untilClose()
  t.equal(client.frames.length, 1)
})

t.test('each route gets a message by its own schema, serialised once, and nobody if it does not fit one of them', async (t) => {
  let serialised = 0
  const schema = (name: string): object => ({ type: 'object', properties: { [name]: { type: 'string' } }, required: [name], additionalProperties: false })
  const { app: { websockets }, join } = await start(t, {
    '/a': { schema: { send: schema('a') }, serializerCompiler: () => (value) => { serialised++; return JSON.stringify(value) } },
    '/b': { schema: { send: schema('b') } },
    '/any': {}
  })
  const clients = [await join('/a'), await join('/a'), await join('/b'), await join('/any')]
  for (const { conn } of clients) conn.subscribe('tea')
  serialised = 0
  t.throws(() => websockets.publish('tea', { a: 'x' }), { code: 'FST_ERR_WS_SEND_INVALID', message: /^The message cannot be serialised on the route "[^"]*": / })
  t.equal(websockets.stats.sent.messages, 0)
  serialised = 0
  t.equal(websockets.publish('tea', { a: 'x', b: 'y' }), 4)
  t.equal(serialised, 1, 'once for the two connections of the route')
  await eventually(() => clients.every(({ seen }) => seen.length === 1))
  t.same(clients.map(({ seen }) => seen[0]), ['{"a":"x","b":"y"}', '{"a":"x","b":"y"}', '{"b":"y"}', '{"a":"x","b":"y"}'])
  clients[2]?.conn.unsubscribe('tea')
  t.equal(websockets.publish('tea', { a: 'x' }), 3, 'nobody is left whom it does not fit')
})

t.test('what does not fit the route of the publisher is refused whoever subscribes', async (t) => {
  const { join } = await start(t, { '/': { schema: { send: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] } } } })
  const { conn } = await join('/')
  t.throws(() => conn.publish('nobody', {}), { code: 'FST_ERR_WS_SEND_INVALID' })
  t.throws(() => conn.publish('nobody', undefined), { code: 'FST_ERR_WS_SEND_INVALID' })
  t.equal(conn.publish('nobody', { a: 'x' }), 0)
})

t.test('what is sent and what is published arrives in the order of the calls', async (t) => {
  const { app: { websockets }, join } = await start(t, { '/plain': {}, '/deflate': { perMessageDeflate: { threshold: 0, serverNoContextTakeover: true } } })
  const clients = [await join('/plain'), await join('/deflate'), await join('/deflate', { perMessageDeflate: false })]
  for (const { conn } of clients) conn.subscribe('tea')
  for (const { conn } of clients) conn.send('1')
  websockets.publish('tea', '2')
  for (const { conn } of clients) conn.sendMessage('3')
  for (const { conn } of clients) conn.send(new Blob(['4']) as unknown as Buffer)
  websockets.publish('tea', '5')
  websockets.broadcast('6')
  for (const { conn } of clients) conn.send(Buffer.from('7'.padEnd(5_000)))
  websockets.publish('tea', '8')
  for (const { conn } of clients) conn.unsubscribe('tea')
  websockets.publish('tea', 'too late')
  for (const { conn } of clients) conn.close(1000)
  await Promise.all(clients.map(async ({ socket }) => await closed(socket)))
  for (const { seen } of clients) t.same(seen.map((text) => text.trim()), ['1', '2', '3', 'binary 4', '5', '6', 'binary 7', '8'])
})

t.test('of what is published in one turn each gets what it has subscribed to, joined or not', async (t) => {
  const { app: { websockets }, join } = await start(t, { '/corked': {}, '/plain': { cork: false } })
  const topics = [['a', 'b', 'c'], ['a', 'b', 'c'], ['a', 'c'], ['b', 'c'], ['c'], ['a', 'large', 'c']]
  const clients: Array<Awaited<ReturnType<typeof join>> & { own: string[] }> = []
  for (const own of topics) for (const path of ['/corked', '/plain']) clients.push({ own, ...await join(path) })
  for (const { conn, own } of clients) for (const topic of own) conn.subscribe(topic)
  const messages = [['a', '1'], ['b', '2'], ['large', 'x'.repeat(20_000)], ['c', '3'], ['a', '4'], ['c', '5']] as const
  for (const [topic, text] of messages) websockets.publish(topic, text)
  for (const { conn } of clients) conn.send('6')
  websockets.publish('c', '7')
  for (const { conn } of clients) conn.close(1000)
  await Promise.all(clients.map(async ({ socket }) => await closed(socket)))
  for (const { own, seen } of clients) {
    t.same(seen, [...messages.filter(([topic]) => own.includes(topic)).map(([, text]) => text), '6', '7'])
  }
})

t.test('a slow subscriber is let go alone', async (t) => {
  const errors: unknown[] = []
  const { app: { websockets }, port, join } = await start(t, {
    '/': { onConnection (conn) { conn.subscribe('tea') }, onError (_conn, error) { errors.push((error as { code?: string }).code) } }
  })
  const slow = await RawClient.connect(t, port)
  slow.write(handshake('/'))
  await slow.head()
  slow.socket.pause()
  const { seen, socket } = await join('/')
  const message = 'x'.repeat(1024 * 1024)
  let sent = 0
  while (errors.length === 0) {
    websockets.publish('tea', message)
    sent++
    await eventually(() => seen.length === sent)
  }
  t.same(errors, ['FST_ERR_WS_SLOW_CONSUMER'])
  t.equal(socket.readyState, socket.OPEN)
  await eventually(() => websockets.subscribers('tea') === 1)
  t.equal(websockets.publish('tea', 'on'), 1)
})

t.test('the topics of two registrations on one server are the same', async (t) => {
  const { port, app } = await startApp(t, async (app) => {
    const { default: websocket } = await import('../../index.ts')
    for (const prefix of ['/a', '/b']) {
      await app.register(async (child) => {
        await child.register(websocket)
        child.websocketRoute('/', { onConnection (conn) { conn.subscribe('tea') }, onMessage (conn, message) { conn.publish('tea', message) } })
      }, { prefix })
    }
  }, { withoutPlugin: true })
  t.ok(app)
  const [a, b] = [await openRaw(t, port, '/a'), await openRaw(t, port, '/b')]
  a.write(textFrame('from a'))
  t.equal((await b.untilFrames(1))[0]?.payload.toString(), 'from a')
})

t.test('who publishes gets its message too with { self: true }, if it subscribes', async (t) => {
  const { join } = await start(t)
  const [a, b, c] = [await join('/'), await join('/'), await join('/')]
  for (const { conn } of [a, b]) conn.subscribe('tea')
  t.same([a.conn.publish('tea', '1'), a.conn.publish('tea', '2', { self: true }), a.conn.publish('tea', '3', { self: false })], [1, 2, 1])
  t.same([a.conn.publish('tea', '4', {}), a.conn.publish('tea', '5', { self: undefined }), c.conn.publish('tea', '6', { self: true })], [1, 1, 2])
  await eventually(() => b.seen.length === 6 && a.seen.length === 2)
  t.same([a.seen, b.seen, c.seen], [['2', '6'], ['1', '2', '3', '4', '5', '6'], []])
})

t.test('a message with { self: true } must fit the route of who publishes it, and the options must be some', async (t) => {
  const { app: { websockets }, join } = await start(t, { '/': { schema: { send: { type: 'object', required: ['a'], properties: { a: { type: 'integer' } } } } }, '/raw': {} })
  const [strict, raw] = [await join('/'), await join('/raw')]
  raw.conn.subscribe('tea')
  t.throws(() => strict.conn.publish('tea', 'x' as unknown as object, { self: true }), { code: 'FST_ERR_WS_SEND_INVALID' })
  const wrong: Array<[options: unknown, got: string]> = [
    [null, 'null'], [true, 'true'], ['self', "'self'"], [{ self: 1 }, '{ self: 1 }'], [{ self: true, except: [] }, '{ self: true, except: [] }']
  ]
  for (const [options, got] of wrong) {
    t.throws(() => raw.conn.publish('tea', 'x', options as object), {
      code: 'FST_ERR_WS_ARGUMENT', message: `conn.publish() takes options with a boolean "self" and nothing else, got ${got}`
    })
  }
  t.equal(websockets.stats.sent.messages, 0)
})
