// Between processes: an emitter of the mqemitter family carries what is published. Here each server stands for a process.
import { EventEmitter } from 'node:events'
import mqemitter, { type Message, type MQEmitter } from 'mqemitter'
import mqemitterRedis from 'mqemitter-redis'
import t, { type Test } from 'tap'
import type { Emitter, WebSocketConnection, WebSocketPluginOptions, WebSocketRouteOptions, WebSockets } from '../../index.ts'
import { type LogLine, startApp } from '../support/app.ts'
import { openCrowd } from '../support/crowd.ts'
import { eventually } from '../support/eventually.ts'
import { RedisServer, withoutRedis } from '../support/redis.ts'

t.setTimeout(120_000)

// Most of the time nothing happens but that the plugin asks the emitter once more, every few seconds.
t.jobs = 8

type Listener = (message: Message, done: () => void) => void
type Routes = Record<string, Partial<WebSocketRouteOptions>>

/** A connection, and what its client has received. */
interface Client { conn: WebSocketConnection, seen: () => string[] }

interface Node {
  websockets: WebSockets
  logs: LogLine[]
  join (path?: string): Promise<Client>
  close (): Promise<void>
  state (): string | undefined
}

const ROUTES: Routes = { '/': {} }

async function startNode (t: Test, emitter: Emitter, routes = ROUTES, plugin: WebSocketPluginOptions = {}): Promise<Node> {
  const { app, logs } = await startApp(t, (app) => {
    for (const [path, options] of Object.entries(routes)) app.websocketRoute(path, { onConnection () {}, ...options })
  }, { plugin: { emitter, closeTimeout: 50, ...plugin } })
  return {
    websockets: app.websockets,
    logs,
    async join (path = '/') {
      const [{ conn, client }] = await openCrowd(t, app, 1, path) as [Awaited<ReturnType<typeof openCrowd>>[0]]
      return { conn, seen: () => client.frames.map(({ first, payload }) => `${first === 0x82 ? 'binary ' : ''}${payload.toString()}`) }
    },
    close: async () => { await app.close() },
    state: () => app.websockets.stats.emitter?.state
  }
}

/** Notes what an emitter is asked for, and goes wrong when it is told to. */
class WatchedEmitter implements Emitter {
  readonly inner: MQEmitter
  readonly calls: string[] = []
  readonly listeners = new Map<Listener, string>()
  readonly sent: Message[] = []
  readonly state = new EventEmitter()
  /** What happens to what is sent. */
  mood: 'well' | 'failing' | 'throwing' | 'mute' = 'well'
  /** Whether a subscription that is made now is confirmed, and whether it takes effect. */
  subscribing: 'well' | 'silent' | 'lost' | 'throwing' = 'well'

  constructor (inner = mqemitter()) {
    this.inner = inner
  }

  on (topic: string, listener: Listener, callback: () => void = () => {}): void {
    this.calls.push(`on ${topic.replace(/[\da-f-]{36}/, '*')}`)
    if (this.subscribing === 'throwing') throw new Error('no subscriptions today')
    this.listeners.set(listener, topic)
    if (this.subscribing === 'lost') callback()
    else this.inner.on(topic, listener, () => { if (this.subscribing !== 'silent') callback() })
  }

  removeListener (topic: string, listener: Listener): void {
    this.calls.push(`off ${topic.replace(/[\da-f-]{36}/, '*')}`)
    this.listeners.delete(listener)
    this.inner.removeListener(topic, listener)
  }

  emit (message: Message, callback: (error?: Error) => void = () => {}): void {
    if (this.mood === 'throwing') throw new Error('no messages today')
    if (this.mood === 'failing') return callback(new Error('cut off'))
    if (this.mood === 'mute') return
    this.sent.push(message)
    this.inner.emit(message, callback)
  }
}

const PREFIX = 'fastify-websocket-route:topic:'

t.test('a publish reaches the subscribers of all processes once each', async (t) => {
  const mq = mqemitter()
  const nodes = [await startNode(t, mq), await startNode(t, mq), await startNode(t, mq)] as const
  const clients: Client[] = []
  for (const node of nodes) {
    for (let i = 0; i < 2; i++) {
      const client = await node.join()
      client.conn.subscribe('tea')
      clients.push(client)
    }
  }
  await eventually(() => nodes.every((node) => node.state() === 'up'))
  t.equal(nodes[0].websockets.publish('tea', 'text'), 2, 'the subscribers of this process are counted')
  t.equal(clients[2]?.conn.publish('tea', { json: [1] }), 1)
  const bytes = Buffer.from([0, 0xff, 0x80, 0x0a])
  nodes[2].websockets.publish('tea', bytes)
  nodes[2].websockets.publish('cake', 'nobody')
  await eventually(() => clients.every(({ seen }, i) => seen().length === (i === 2 ? 2 : 3)))
  for (const [i, { seen }] of clients.entries()) t.same(seen(), ['text', ...i === 2 ? [] : ['{"json":[1]}'], `binary ${bytes.toString()}`])
  t.same(nodes.map(({ websockets }) => websockets.stats.emitter), [
    { state: 'up', topics: 1, pending: 0, published: 1, received: 2, lost: 0, dropped: 0 },
    { state: 'up', topics: 1, pending: 0, published: 1, received: 2, lost: 0, dropped: 0 },
    { state: 'up', topics: 1, pending: 0, published: 2, received: 2, lost: 0, dropped: 0 }
  ])
})

t.test('the order of one publisher on one topic is kept, also by those who get it in slices', async (t) => {
  const mq = mqemitter({ concurrency: 1 })
  const [here, there] = [await startNode(t, mq), await startNode(t, mq)]
  const { app } = await startApp(t, (app) => { app.websocketRoute('/', { onConnection (conn) { conn.subscribe('tea') } }) }, { plugin: { emitter: mq } })
  const crowd = await openCrowd(t, app, 600)
  const one = await there.join()
  one.conn.subscribe('tea')
  for (let i = 0; i < 50; i++) here.websockets.publish('tea', String(i))
  crowd.at(-1)?.conn.send('meanwhile')
  await eventually(() => crowd.every(({ texts }) => texts().length >= 50) && one.seen().length === 50)
  const expected = Array.from({ length: 50 }, (_, i) => String(i))
  t.same(one.seen(), expected)
  t.same(new Set(crowd.map(({ texts }) => texts().filter((text) => text !== 'meanwhile').join())), new Set([expected.join()]))
})

t.test('there is one subscription on the emitter for each topic, however many connections', async (t) => {
  const emitter = new WatchedEmitter()
  const { join, websockets, close } = await startNode(t, emitter)
  const clients = [await join(), await join(), await join()]
  for (const { conn } of clients) for (const topic of ['tea', 'cake']) conn.subscribe(topic)
  clients[0]?.conn.unsubscribe('tea')
  clients[1]?.conn.unsubscribe('tea')
  t.same(emitter.calls, ['on fastify-websocket-route:probe:*', `on ${PREFIX}tea`, `on ${PREFIX}cake`])
  clients[2]?.conn.unsubscribe('tea')
  clients[2]?.conn.subscribe('tea')
  t.same(emitter.calls.slice(3), [`off ${PREFIX}tea`, `on ${PREFIX}tea`])
  await eventually(() => websockets.stats.emitter?.pending === 0)
  t.same(websockets.stats.emitter?.topics, 2)
  clients[2]?.conn.terminate()
  await eventually(() => websockets.size === 2)
  t.same(emitter.calls.slice(5), [`off ${PREFIX}tea`])
  await close()
  t.same(emitter.calls.slice(6).sort(), ['off fastify-websocket-route:probe:*', `off ${PREFIX}cake`])
  t.same([...emitter.listeners], [], 'nothing is left behind')
})

t.test('a subscription that is made again at once gets each message once', async (t) => {
  const mq = mqemitter()
  const [here, there] = [await startNode(t, mq), await startNode(t, mq)]
  const { conn, seen } = await there.join()
  conn.subscribe('tea')
  conn.unsubscribe('tea')
  conn.subscribe('tea')
  here.websockets.publish('tea', 'in this turn') // the emitter has not let go of the first listener yet
  conn.send('last')
  await eventually(() => seen().at(-1) === 'last')
  t.same(seen(), ['in this turn', 'last'])
})

t.test('no character of a topic means anything to the emitter', async (t) => {
  const emitter = new WatchedEmitter()
  const [here, there] = [await startNode(t, emitter), await startNode(t, emitter)]
  const topics = ['a', 'a/b', 'a/+', '#', '+', 'a_b', 'a_5fb', 'é', '\u{1f600}', '*', 'x'.repeat(255), '-.']
  const clients: Client[] = []
  for (const topic of topics) {
    const client = await there.join()
    client.conn.subscribe(topic)
    clients.push(client)
  }
  await eventually(() => there.websockets.stats.emitter?.pending === 0)
  for (const topic of topics) here.websockets.publish(topic, topic)
  await eventually(() => clients.every(({ seen }) => seen().length > 0))
  t.same(clients.map(({ seen }) => seen()), topics.map((topic) => [topic]))
  const names = emitter.sent.map(({ topic }) => topic).filter((name) => name.startsWith(PREFIX)).map((name) => name.slice(PREFIX.length))
  t.match(names.slice(0, 9), ['a', 'a_2fb', 'a_2f_2b', '_23', '_2b', 'a_5fb', 'a_5f5fb', '_c3_a9', '_f0_9f_98_80'])
})

t.test('each process serialises by the schemas of its own routes', async (t) => {
  const mq = mqemitter()
  const schema = (name: string): object => ({ type: 'object', properties: { [name]: { type: 'string' } }, required: [name], additionalProperties: false })
  const here = await startNode(t, mq)
  const there = await startNode(t, mq, { '/a': { schema: { send: schema('a') } }, '/b': { schema: { send: schema('b') } }, '/any': {} })
  const clients = [await there.join('/a'), await there.join('/b'), await there.join('/b'), await there.join('/any')]
  for (const { conn } of clients) conn.subscribe('tea')
  here.websockets.publish('tea', { a: 'x', b: 'y', c: 'z' })
  here.websockets.publish('tea', { a: 'only' })
  await eventually(() => clients[3]?.seen().length === 2)
  t.same(clients.map(({ seen }) => seen()), [['{"a":"x"}', '{"a":"only"}'], ['{"b":"y"}'], ['{"b":"y"}'], ['{"a":"x","b":"y","c":"z"}', '{"a":"only"}']])
  t.match(there.logs.filter(({ level }) => level >= 40), [{ level: 50, topic: 'tea', msg: 'A message of another process does not fit schema.send', err: { code: 'FST_ERR_WS_SEND_INVALID' } }])
})

t.test('what cannot be JSON cannot go to other processes, and goes nowhere', async (t) => {
  const emitter = new WatchedEmitter()
  const { join, websockets } = await startNode(t, emitter, { '/': { schema: { send: { type: 'object', properties: { n: { type: 'integer' } } } } } })
  const { conn, seen } = await join()
  conn.subscribe('tea')
  t.throws(() => websockets.publish('tea', { n: 1n }), { code: 'FST_ERR_WS_SEND_INVALID' })
  websockets.publish('tea', { n: 1 })
  await eventually(() => seen().length > 0)
  t.same(seen(), ['{"n":1}'])
  t.equal(emitter.sent.filter(({ topic }) => topic.startsWith(PREFIX)).length, 1)
})

t.test('binary data may be used again at once, and come as JSON has them', async (t) => {
  const mq = mqemitter()
  const [here, there] = [await startNode(t, {
    on: (...args) => mq.on(...args as Parameters<typeof mq.on>),
    removeListener: (...args) => mq.removeListener(...args as Parameters<typeof mq.on>),
    // As an emitter does that keeps what it is given for a while, and carries JSON.
    emit (message, callback) { setImmediate(() => mq.emit(JSON.parse(JSON.stringify(message)) as Message, callback as () => void)) }
  }), await startNode(t, mq)]
  const { conn, seen } = await there.join()
  conn.subscribe('tea')
  const data = [Buffer.from('buffer'), new Uint8Array(Buffer.from('bytes')), new DataView(new Uint8Array(Buffer.from('view')).buffer), new Uint8Array(Buffer.from('array')).buffer]
  for (const each of data) {
    here.websockets.publish('tea', each)
    new Uint8Array(ArrayBuffer.isView(each) ? each.buffer : each, ArrayBuffer.isView(each) ? each.byteOffset : 0, each.byteLength).fill(0)
  }
  await eventually(() => seen().length === data.length)
  t.same(seen(), ['binary buffer', 'binary bytes', 'binary view', 'binary array'])
})

t.test('what is malformed, or has come before, is dropped', async (t) => {
  const emitter = new WatchedEmitter()
  const { join, websockets, logs } = await startNode(t, emitter)
  const { conn, seen } = await join()
  conn.subscribe('tea')
  const topic = `${PREFIX}tea`
  const good = { topic, version: 1, origin: 'elsewhere', number: 5, type: 'text', payload: 'good' }
  const bad: Array<[object, string]> = [
    [{ topic }, 'its version is another one'],
    [{ ...good, version: 2 }, 'its version is another one'],
    [{ ...good, origin: 1 }, 'it has no origin'],
    [{ ...good, origin: 'x'.repeat(65) }, 'it has no origin'],
    [{ ...good, number: '5' }, 'it has no number'],
    [{ ...good, number: NaN }, 'it has no number'],
    [{ ...good, type: 'toString' }, 'its type is none'],
    [{ ...good, type: undefined }, 'its type is none'],
    [{ ...good, payload: undefined }, 'its payload is no text'],
    [{ ...good, payload: Buffer.from('x') }, 'its payload is no text'],
    [{ ...good, type: 'json', payload: '{' }, 'its payload is not JSON'],
    [{ ...good, type: 'binary' }, 'its payload is not binary'],
    [{ ...good, type: 'binary', payload: { type: 'Buffer', data: 'x' } }, 'its payload is not binary'],
    [{ ...good, type: 'binary', payload: null }, 'its payload is not binary']
  ]
  for (const [message] of bad) emitter.inner.emit(message as Message)
  for (const [listener, name] of emitter.listeners) if (name === topic) for (const message of [null, 'x']) listener(message as never, () => {})
  for (const message of [
    good, good, { ...good, number: 4, payload: 'older' }, { ...good, origin: 'third', number: 1, payload: 'of a third' }, { ...good, number: 6, payload: 'newer' },
    { ...good, number: 7, type: 'json', payload: '{"__proto__":1}' }, { ...good, number: 8, type: 'binary', payload: new Uint8Array([0x61]) }
  ]) emitter.inner.emit(message)
  await eventually(() => seen().length === 5)
  t.same(seen(), ['good', 'of a third', 'newer', '{"__proto__":1}', 'binary a'])
  t.same(logs.filter(({ level }) => level === 40).map(({ msg, reason, topic }) => [msg, reason, topic]), [
    ...bad.map(([, reason]) => reason), 'it is no object', 'it is no object'
  ].map((reason) => ['A message of the emitter was dropped', reason, 'tea']))
  t.match(websockets.stats.emitter, { received: 5, dropped: bad.length + 4 })
})

t.test('of very many publishers those that were silent for longest are forgotten', async (t) => {
  const emitter = new WatchedEmitter()
  const { join, websockets } = await startNode(t, emitter)
  const { conn } = await join()
  conn.subscribe('tea')
  const from = (origin: number | string): void => { emitter.inner.emit({ topic: `${PREFIX}tea`, version: 1, origin: String(origin), number: 1, type: 'text', payload: 'x' }) }
  for (let i = 0; i <= 1_000; i++) from(i)
  t.match(websockets.stats.emitter, { received: 1_001, dropped: 0 })
  from(1)
  t.match(websockets.stats.emitter, { received: 1_001, dropped: 1 }, 'is remembered')
  from(0)
  t.match(websockets.stats.emitter, { received: 1_002, dropped: 1 }, 'was forgotten')
})

// ---- when it is away ----------------------------------------------------------------------------------------------------

const upAndDown = (logs: LogLine[]): unknown[] => logs.filter(({ msg }) => msg.startsWith('The emitter is')).map(({ level, msg, err }) => [level, msg.slice(0, msg.indexOf(':')), err?.message])

for (const [how, fail, error, lost] of [
  ['refuses messages', (emitter) => { emitter.mood = 'failing' }, 'cut off', 2],
  ['throws', (emitter) => { emitter.mood = 'throwing' }, 'no messages today', 2],
  ['emits an error', (emitter) => { emitter.mood = 'mute'; emitter.state.emit('error', new Error('connection lost')) }, 'connection lost', 2],
  ['does not answer', (emitter) => { emitter.mood = 'mute' }, 'The emitter does not answer', 1]
] as Array<[string, (emitter: WatchedEmitter) => void, string, number]>) {
  t.test(`when the emitter ${how}, local delivery goes on, and it is seen when it is back`, async (t) => {
    const mq = mqemitter()
    const emitter = new WatchedEmitter(mq)
    const [here, there] = [await startNode(t, emitter), await startNode(t, mq)]
    const [near, far] = [await here.join(), await there.join()]
    for (const { conn } of [near, far]) conn.subscribe('tea')
    await eventually(() => here.state() === 'up' && there.state() === 'up')
    fail(emitter)
    here.websockets.publish('tea', '1')
    await eventually(() => here.state() === 'down')
    here.websockets.publish('tea', '2')
    emitter.mood = 'well'
    // One that has swallowed what it was given never calls back, and is asked again all the same.
    await eventually(() => here.state() === 'up')
    here.websockets.publish('tea', '3')
    await eventually(() => far.seen().length === 1 && near.seen().length === 3)
    t.same([near.seen(), far.seen()], [['1', '2', '3'], ['3']])
    t.same(upAndDown(here.logs), [[30, 'The emitter is up', undefined], [40, 'The emitter is down', error], [30, 'The emitter is up', undefined]])
    t.equal(there.state(), 'up')
    t.equal(here.websockets.stats.emitter?.lost, lost)
  })
}

function probeOf ({ listeners }: WatchedEmitter): Message {
  return { topic: [...listeners.values()].find((name) => name.includes(':probe:')) ?? '' }
}

t.test('a subscription that was lost while the emitter was away is made again before it counts as up', async (t) => {
  const mq = mqemitter()
  const emitter = new WatchedEmitter(mq)
  const [here, there] = [await startNode(t, emitter), await startNode(t, mq)]
  const [tea, cake, jam] = [await here.join(), await here.join(), await here.join()]
  tea.conn.subscribe('tea')
  await eventually(() => here.state() === 'up' && here.websockets.stats.emitter?.pending === 0)
  // What was confirmed a moment ago may have been given up; what has been confirmed for a while has not.
  for (let i = 0; i < 2; i++) emitter.inner.emit(probeOf(emitter))
  emitter.mood = 'mute'
  emitter.state.emit('error', new Error('connection lost'))
  emitter.subscribing = 'lost'
  cake.conn.subscribe('cake')
  jam.conn.subscribe('jam')
  t.match(here.websockets.stats.emitter, { state: 'down', topics: 3, pending: 2 })
  emitter.subscribing = 'silent'
  emitter.inner.emit(probeOf(emitter))
  emitter.inner.emit(probeOf(emitter))
  t.match(here.websockets.stats.emitter, { state: 'down', pending: 2 }, 'not confirmed yet')
  jam.conn.unsubscribe('jam')
  emitter.state.emit('error', new Error('lost again'))
  emitter.subscribing = 'throwing'
  emitter.inner.emit(probeOf(emitter))
  t.match(here.websockets.stats.emitter, { state: 'down', pending: 1 })
  emitter.subscribing = 'well'
  emitter.inner.emit(probeOf(emitter))
  await eventually(() => here.state() === 'up')
  t.match(here.websockets.stats.emitter, { topics: 2, pending: 0 })
  t.equal(emitter.calls.filter((call) => call === `on ${PREFIX}tea`).length, 1, 'one that was confirmed is left alone')
  for (const topic of ['tea', 'cake']) there.websockets.publish(topic, topic)
  await eventually(() => tea.seen().length === 1 && cake.seen().length === 1)
  t.same([tea.seen(), cake.seen()], [['tea'], ['cake']])
  t.same(upAndDown(here.logs).length, 3)
})

t.test('a subscription that was confirmed shortly before the emitter failed is made again', async (t) => {
  const emitter = new WatchedEmitter()
  const { join, state, websockets } = await startNode(t, emitter)
  const { conn, seen } = await join()
  await eventually(() => state() === 'up')
  conn.subscribe('tea')
  await eventually(() => websockets.stats.emitter?.pending === 0)
  emitter.mood = 'mute'
  emitter.state.emit('error', new Error('connection lost'))
  t.match(websockets.stats.emitter, { state: 'down', pending: 1 })
  emitter.inner.emit(probeOf(emitter))
  await eventually(() => state() === 'up')
  t.same(emitter.calls.slice(1), [`on ${PREFIX}tea`, `off ${PREFIX}tea`, `on ${PREFIX}tea`])
  emitter.inner.emit({ topic: `${PREFIX}tea`, version: 1, origin: 'elsewhere', number: 1, type: 'text', payload: 'x' })
  await eventually(() => seen().length === 1)
})

/** A node whose emitter has failed, and does not answer yet. */
async function startDown (t: Test) {
  const emitter = new WatchedEmitter()
  const node = await startNode(t, emitter)
  const { conn } = await node.join()
  await eventually(() => node.state() === 'up')
  emitter.mood = 'mute'
  emitter.state.emit('error', new Error('connection lost'))
  return { ...node, emitter, conn }
}

t.test('the last topic that was to be renewed may be given up', async (t) => {
  const { emitter, conn, state, websockets } = await startDown(t)
  emitter.subscribing = 'silent'
  conn.subscribe('tea')
  emitter.inner.emit(probeOf(emitter))
  await eventually(() => emitter.calls.filter((call) => call === `on ${PREFIX}tea`).length === 2)
  t.equal(state(), 'down')
  conn.unsubscribe('tea')
  t.same([state(), websockets.stats.emitter?.pending], ['up', 0])
})

t.test('an emitter that throws when it is subscribed to is down, and so is one that is closed', async (t) => {
  const emitter = new WatchedEmitter()
  emitter.subscribing = 'throwing'
  const { state, logs, join } = await startNode(t, emitter)
  t.equal(state(), 'down')
  const { conn, seen } = await join()
  conn.subscribe('tea')
  conn.send('served all the same')
  await eventually(() => seen().length === 1)
  t.same(upAndDown(logs), [[40, 'The emitter is down', 'no subscriptions today']])
  await eventually(() => emitter.calls.filter((call) => call.startsWith('on ') && call.includes('probe')).length === 2)
  emitter.subscribing = 'well'
  await eventually(() => state() === 'up')
  emitter.inner.emit({ topic: `${PREFIX}tea`, version: 1, origin: 'elsewhere', number: 1, type: 'text', payload: 'from elsewhere' })
  await eventually(() => seen().length === 2)

  const closedEmitter = mqemitter()
  await new Promise<void>((resolve) => { closedEmitter.close(resolve) })
  const other = await startNode(t, closedEmitter)
  await eventually(() => other.state() === 'down')
})

t.test('an emitter that confirms within the call is up once', async (t) => {
  const { emitter, conn, state, logs } = await startDown(t)
  conn.subscribe('tea')
  emitter.subscribing = 'lost'
  emitter.inner.emit(probeOf(emitter))
  t.equal(state(), 'up')
  t.same(upAndDown(logs).length, 3)
})

t.test('an emitter that is too slow is given no more than 64 MiB', async (t) => {
  const emitter = new WatchedEmitter()
  const { state, websockets } = await startNode(t, emitter)
  await eventually(() => state() === 'up')
  emitter.mood = 'mute'
  const megabyte = 'x'.repeat(1024 * 1024)
  for (let i = 0; i < 64; i++) websockets.publish('tea', megabyte)
  t.equal(state(), 'up')
  websockets.publish('tea', 'x')
  t.match(websockets.stats.emitter, { state: 'down', published: 64, lost: 1 })
})

t.test('what an emitter has lost while it was down does not wait for it for good', async (t) => {
  const emitter = new WatchedEmitter()
  const { state, websockets } = await startNode(t, emitter)
  const megabyte = 'x'.repeat(1024 * 1024)
  for (let outage = 1; outage <= 2; outage++) {
    await eventually(() => state() === 'up')
    emitter.mood = 'mute'
    for (let i = 0; i < 40; i++) websockets.publish('tea', megabyte)
    t.match(websockets.stats.emitter, { state: 'up', published: outage * 40, lost: 0 })
    emitter.mood = 'well'
    emitter.state.emit('error', new Error('cut off'))
  }
})

t.test('what the plugin made is closed with the server, and what the user passed is left', async (t) => {
  const emitter = new WatchedEmitter()
  const { close, join, websockets, logs } = await startNode(t, emitter, { '/': { onClose (conn) { conn.publish('tea', 'left') } } })
  const { conn } = await join()
  conn.subscribe('tea')
  const published: unknown[] = []
  emitter.inner.on(`${PREFIX}tea`, ({ payload }, done) => { published.push(payload); done() })
  await close()
  t.same(published, ['left'], 'what onClose publishes is on its way')
  t.same([[...emitter.listeners], websockets.stats.emitter], [[], null])
  t.doesNotThrow(() => emitter.state.emit('error', new Error('before its owner closes it')))
  let isOpen = false
  await new Promise<void>((resolve) => {
    emitter.inner.on('of the user', (_message, done) => { isOpen = true; done() })
    emitter.inner.emit({ topic: 'of the user' }, () => resolve())
  })
  t.equal(isOpen, true)
  t.equal(websockets.publish('tea', 'x'), 0)
  t.equal(published.length, 1)
  t.same(upAndDown(logs).length, 1)
})

t.test('a listener for its errors that is not the plugin\'s is enough', async (t) => {
  const emitter = new WatchedEmitter()
  const listener = (): void => {}
  emitter.state.on('error', listener)
  const { close } = await startNode(t, emitter)
  t.equal(emitter.state.listenerCount('error'), 2)
  await close()
  t.same(emitter.state.listeners('error'), [listener])
})

t.test('what the emitter says of its callbacks when the server has closed is nobody\'s business', async (t) => {
  const failures: Array<() => void> = []
  const mq = mqemitter()
  const emitter: Emitter = {
    on: (...args) => mq.on(...args as Parameters<typeof mq.on>),
    removeListener: () => { throw new Error('closed before') },
    emit (message, callback) {
      if (message.topic.includes('probe')) mq.emit(message as Message, callback as () => void)
      else failures.push(() => callback?.(new Error('too late')))
    }
  }
  const { close, state, websockets, logs } = await startNode(t, emitter)
  await eventually(() => state() === 'up')
  websockets.publish('tea', 'x')
  await close()
  for (const fail of failures) fail()
  await new Promise(setImmediate)
  t.same(upAndDown(logs).length, 1)
})

t.test('is an option of the plugin, and the same for all that share a server', async (t) => {
  const build = async (...emitters: unknown[]): Promise<unknown> => await startApp(t, async (app) => {
    const { default: websocket } = await import('../../index.ts')
    for (const emitter of emitters) await app.register(async (child) => { await child.register(websocket, { emitter } as never) })
  }, { withoutPlugin: true })
  for (const emitter of [{}, null, 'redis', { on () {}, emit () {} }]) {
    await t.rejects(build(emitter), { code: 'FST_ERR_WS_OPTION_INVALID', message: /^The option "emitter" must be an mqemitter, with on\(\), emit\(\) and removeListener\(\), got / })
  }
  await t.rejects(build(mqemitter(), mqemitter()), { code: 'FST_ERR_WS_OPTION_INVALID', message: /"emitter" must be the same in all registrations on one server/ })
  const emitter = new WatchedEmitter()
  await t.resolves(build(emitter, undefined, emitter))
  t.same(emitter.calls, ['on fastify-websocket-route:probe:*'])
})

// ---- Redis ----------------------------------------------------------------------------------------------------------------

t.test('with Redis', { skip: withoutRedis }, async (t) => {
  const redis = new RedisServer(t)
  await redis.start()
  const emitters: Array<ReturnType<typeof mqemitterRedis>> = []
  t.teardown(async () => { for (const emitter of emitters) await new Promise<void>((resolve) => { emitter.close(resolve) }) })
  const startRedisNode = async (): Promise<Node> => {
    // It gives up soon what it cannot send, subscriptions too.
    const emitter = mqemitterRedis({ connectionString: redis.path, maxRetriesPerRequest: 1, retryStrategy: () => 20 } as never)
    emitters.push(emitter)
    return await startNode(t, emitter)
  }
  const [here, there] = [await startRedisNode(), await startRedisNode()]
  const nodes = [here, there]
  const isUp = (): boolean => nodes.every(({ websockets }) => websockets.stats.emitter?.state === 'up' && websockets.stats.emitter.pending === 0)

  await t.test('text, JSON and binary data arrive as they were, in order', async (t) => {
    const { conn, seen } = await there.join()
    conn.subscribe('a/+ #é')
    await eventually(isUp)
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    here.websockets.publish('a/+ #é', 'te\u{1f600}t')
    here.websockets.publish('a/+ #é', { json: 'é', n: [1, null] })
    here.websockets.publish('a/+ #é', bytes)
    here.websockets.publish('a/+ #é', '')
    for (let i = 0; i < 500; i++) here.websockets.publish('a/+ #é', String(i))
    await eventually(() => seen().length === 504)
    t.same(seen(), ['te\u{1f600}t', '{"json":"é","n":[1,null]}', `binary ${bytes.toString()}`, '', ...Array.from({ length: 500 }, (_, i) => String(i))])
  })

  await t.test('when it was away the subscriptions are restored, those too that were made meanwhile', async (t) => {
    const [before, gone] = [await there.join(), await there.join()]
    const near = await here.join()
    before.conn.subscribe('tea')
    near.conn.subscribe('tea')
    await eventually(isUp)
    await redis.kill()
    await eventually(() => nodes.every(({ state }) => state() === 'down'))
    gone.conn.subscribe('cake')
    here.websockets.publish('tea', 'local only')
    await eventually(() => near.seen().length === 1)
    // It has given up the subscription by then.
    let failures = 0
    const { state } = emitters[1] as unknown as { state: EventEmitter }
    state.on('error', () => failures++)
    await eventually(() => failures > 10)
    await redis.start()
    await eventually(isUp)
    for (let i = 0; i < 100; i++) for (const topic of ['tea', 'cake']) here.websockets.publish(topic, String(i))
    await eventually(() => before.seen().length === 100 && gone.seen().length === 100 && near.seen().length === 101)
    const numbers = Array.from({ length: 100 }, (_, i) => String(i))
    t.same([before.seen(), gone.seen(), near.seen()], [numbers, numbers, ['local only', ...numbers]])
    for (const { logs } of nodes) t.same(upAndDown(logs).map((line) => (line as string[])[1]).slice(-2), ['The emitter is down', 'The emitter is up'])
  })

  await t.test('one that hangs is noticed', async (t) => {
    redis.freeze(true)
    await eventually(() => nodes.every(({ state }) => state() === 'down'))
    redis.freeze(false)
    await eventually(isUp)
    t.pass('and is back')
  })
})
