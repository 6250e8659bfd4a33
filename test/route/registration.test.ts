// What the plugin and websocketRoute take, and what they refuse at once.
import { inspect } from 'node:util'
import fastifyWebsocket from '@fastify/websocket'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import websocket from '../../index.ts'
import { startApp } from '../support/app.ts'
import { connect } from '../support/client.ts'

interface Untyped { websocketRoute (path?: unknown, options?: unknown): unknown }

async function newApp (t: Test, options?: object): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket, options as object)
  return app
}

const valid = { onConnection () {} }

t.test('refuses to be registered twice on an instance or below it', async (t) => {
  const app = await newApp(t)
  const error = { code: 'FST_ERR_WS_ALREADY_REGISTERED', message: /register it once/ }
  await t.rejects(async () => { await app.register(websocket) }, error)
  const other = await newApp(t)
  other.register(async (child) => { await child.register(websocket) })
  await t.rejects(async () => { await other.ready() }, error)
})

t.test('works under two encapsulated children, each with its own defaults', async (t) => {
  const { port } = await startApp(t, async (app) => {
    for (const [prefix, maxPayload] of [['/a', 10], ['/b', 20]] as const) {
      await app.register(async (child) => {
        await child.register(websocket, { maxPayload })
        child.websocketRoute('/', { onConnection (conn) { conn.on('message', (data) => conn.send(data)) } })
      }, { prefix })
    }
    t.notOk(app.hasDecorator('websocketRoute'))
    t.equal(app.server.listenerCount('upgrade'), 1)
  }, { withoutPlugin: true })
  const a = (await connect(t, `ws://127.0.0.1:${port}/a`)).socket
  const b = (await connect(t, `ws://127.0.0.1:${port}/b`)).socket
  b.send('x'.repeat(15))
  await new Promise((resolve) => b.once('message', resolve))
  a.send('x'.repeat(15))
  t.equal(await new Promise((resolve) => a.once('close', resolve)), 1009)
})

t.test('can be registered by a parent after a child', async (t) => {
  const { port } = await startApp(t, async (app) => {
    await app.register(async (child) => { await child.register(websocket); child.websocketRoute('/child', valid) })
    await app.register(websocket)
    app.websocketRoute('/parent', valid)
  }, { withoutPlugin: true })
  for (const path of ['/child', '/parent']) t.equal((await connect(t, `ws://127.0.0.1:${port}${path}`)).status, 101)
})

t.test('refuses options of the plugin that do not exist or are not valid', async (t) => {
  const cases: Array<[object, object]> = [
    [{ handshakeTimeOut: 5 }, { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: 'Unknown option "handshakeTimeOut" of the plugin: did you mean "handshakeTimeout"?' }],
    [{ onConnection () {} }, { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: 'Unknown option "onConnection" of the plugin: a route has it' }],
    [{ toString: 1 }, { code: 'FST_ERR_WS_OPTION_UNKNOWN' }],
    [{ maxPayload: '1mb' }, { code: 'FST_ERR_WS_OPTION_INVALID', name: 'FastifyError', message: 'The option "maxPayload" must be a number of bytes from 1 to 2147483647, got \'1mb\'' }],
    ...[0, -1, 1.5, NaN, 2 ** 31, '1', null, true].map((handshakeTimeout): [object, object] => [{ handshakeTimeout }, { code: 'FST_ERR_WS_OPTION_INVALID', message: /"handshakeTimeout"/ }]),
    ...[0, false, 2 ** 31].map((closeTimeout): [object, object] => [{ closeTimeout }, { code: 'FST_ERR_WS_OPTION_INVALID', message: /"closeTimeout"/ }]),
    ...[0, 2 ** 31, Infinity].flatMap((value) => ['maxPayload', 'maxFragments'].map((name): [object, object] => [{ [name]: value }, { code: 'FST_ERR_WS_OPTION_INVALID', message: new RegExp(`"${name}" must be a.* from 1 to 2147483647`) }])),
    [{ perMessageDeflate: 'yes' }, { code: 'FST_ERR_WS_OPTION_INVALID', message: /"perMessageDeflate"/ }],
    [{ perMessageDeflate: [] }, { code: 'FST_ERR_WS_OPTION_INVALID', message: /"perMessageDeflate"/ }],
    ...['x', {}, [1], [{}], [{ listen () {} }]].map((servers): [object, object] => [{ servers }, { code: 'FST_ERR_WS_OPTION_INVALID', message: /"servers" must be a list of servers/ }]),
    [{ maxConection: 5 }, { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /of the plugin: did you mean "maxConnections"/ }],
    [{ verifyClient () {} }, { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /"verifyClient" of the plugin: call conn\.reject\(\)/ }],
    [{ errorHandler () {} }, { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /"errorHandler" of the plugin: errors of connections go to "onError" of a route/ }],
    [{ options: {} }, { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /what ws calls so/ }],
    [{ maxConnection: 5 }, { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /did you mean "maxConnections"/ }],
    [{ origin: 'app.example' }, { code: 'FST_ERR_WS_OPTION_INVALID', message: /"origin"/ }],
    [{ keyGenerator: 'ip' }, { code: 'FST_ERR_WS_OPTION_INVALID', message: /"keyGenerator"/ }],
    [{ logLevels: { opened: 1 } }, { code: 'FST_ERR_WS_OPTION_INVALID', message: /"logLevels"/ }],
    [{ skipUTF8Validation: 1 }, { code: 'FST_ERR_WS_OPTION_INVALID', message: /"skipUTF8Validation"/ }]
  ]
  for (const [options, error] of cases) await t.rejects(newApp(t, options), error as Error, JSON.stringify(options))
})

t.test('refuses options of permessage-deflate that would fail in a connection, for the plugin and for a route', async (t) => {
  const invalid = (name: string, message = ''): object => ({ code: 'FST_ERR_WS_OPTION_INVALID', message: new RegExp(`^The option "perMessageDeflate\\.${name}" must be .*${message}`) })
  const unknown = (name: string, hint: string): object => ({ code: 'FST_ERR_WS_OPTION_UNKNOWN', message: `Unknown option "perMessageDeflate.${name}"${hint === '' ? '' : `: did you mean "${hint}"?`}` })
  const cases: Array<[object, object]> = [
    ...[7, 16, 8.5, '15', null].flatMap((value) => ['serverMaxWindowBits', 'clientMaxWindowBits'].map((name): [object, object] => [{ [name]: value }, invalid(name, 'from 8 to 15')])),
    ...[1, 'true', null].flatMap((value) => ['serverNoContextTakeover', 'clientNoContextTakeover'].map((name): [object, object] => [{ [name]: value }, invalid(name, 'a boolean')])),
    ...[-1, 1.5, '1kb', NaN].map((threshold): [object, object] => [{ threshold }, invalid('threshold')]),
    ...[0, -1, 1.5, '10'].map((concurrencyLimit): [object, object] => [{ concurrencyLimit }, invalid('concurrencyLimit')]),
    ...['zlibDeflateOptions', 'zlibInflateOptions'].flatMap((name): Array<[object, object]> => [
      ...[9, null, []].map((value): [object, object] => [{ [name]: value }, invalid(name, 'an object')]),
      [{ [name]: { chunkSize: 63 } }, invalid(name, 'options that node:zlib takes \\(.*chunkSize')],
      [{ [name]: { windowBits: 20 } }, invalid(name, 'windowBits')],
      [{ [name]: { flush: 'yes' } }, invalid(name, 'flush')],
      [{ [name]: { dictionary: 'words' } }, invalid(name, 'dictionary')],
      [{ [name]: { windowBit: 9 } }, unknown(`${name}.windowBit`, 'windowBits')]
    ]),
    [{ zlibDeflateOptions: { level: 10 } }, invalid('zlibDeflateOptions', 'level')],
    [{ zlibDeflateOptions: { memLevel: 0 } }, invalid('zlibDeflateOptions', 'memLevel')],
    [{ zlibDeflateOptions: { strategy: 9 } }, invalid('zlibDeflateOptions', 'strategy')],
    [{ zlibDeflateOptions: { info: true } }, invalid('zlibDeflateOptions', 'info')],
    [{ zlibDeflateOption: {} }, unknown('zlibDeflateOption', 'zlibDeflateOptions')],
    [{ treshold: 1 }, unknown('treshold', 'threshold')],
    [{ serverNoContextTakeOver: true }, unknown('serverNoContextTakeOver', 'serverNoContextTakeover')],
    [{ maxPayload: 5 }, unknown('maxPayload', '')]
  ]
  const app = await newApp(t) as unknown as Untyped
  for (const [perMessageDeflate, error] of cases) {
    await t.rejects(newApp(t, { perMessageDeflate }), error as Error, JSON.stringify(perMessageDeflate))
    t.throws(() => app.websocketRoute('/', { ...valid, perMessageDeflate }), error as Error, JSON.stringify(perMessageDeflate))
  }
  const all = {
    serverNoContextTakeover: true,
    clientNoContextTakeover: false,
    serverMaxWindowBits: 8,
    clientMaxWindowBits: true,
    threshold: 0,
    concurrencyLimit: Infinity,
    zlibDeflateOptions: { level: 9, memLevel: 1, chunkSize: 64, strategy: 0, later: 'a version of Node.js may know it' },
    zlibInflateOptions: {}
  }
  for (const perMessageDeflate of [{}, all, { threshold: undefined, zlibInflateOptions: undefined }]) await t.resolves(newApp(t, { perMessageDeflate }))
})

t.test('takes every option of the plugin, and those that Fastify reads itself', async (t) => {
  await t.resolves(newApp(t, {
    handshakeTimeout: false, closeTimeout: 1, maxPayload: 1, maxFragments: 1, perMessageDeflate: {}, skipUTF8Validation: true, origin: ['same'], logLevels: {}, maxConnections: 1, maxConnectionsPerKey: Infinity, maxPendingHandshakes: 1, keyGenerator: () => '', servers: [], prefix: '/x', logLevel: 'warn', logSerializers: {}
  }))
  await t.resolves(newApp(t, { handshakeTimeout: undefined }))
})

t.test('refuses a route that cannot work', async (t) => {
  const app = await newApp(t) as unknown as Untyped
  const cases: Array<[unknown[], object]> = [
    [[], { code: 'FST_ERR_WS_OPTION_INVALID', message: 'The option "path" must be a string, got undefined' }],
    [[{ onConnection () {} }], { code: 'FST_ERR_WS_OPTION_INVALID', message: /"path"/ }],
    [['/'], { code: 'FST_ERR_WS_OPTION_INVALID', message: 'The option "options" must be an object, got undefined' }],
    [['/', () => {}], { code: 'FST_ERR_WS_OPTION_INVALID', message: /"options"/ }],
    [['/', null], { code: 'FST_ERR_WS_OPTION_INVALID' }],
    [['/', {}], { code: 'FST_ERR_WS_CALLBACK_MISSING', message: /"onHandshake", "onConnection" or "onMessage"/ }],
    [['/', { onClose () {}, onError () {} }], { code: 'FST_ERR_WS_CALLBACK_MISSING' }],
    [['/', { handler () {} }], { code: 'FST_ERR_WS_CALLBACK_MISSING' }],
    ...['POST', 'HEAD', ['GET', 'POST'], 1].map((method): [unknown[], object] => [['/', { ...valid, method }], { code: 'FST_ERR_WS_OPTION_INVALID', message: /"method"/ }]),
    ...['onHandshake', 'onConnection', 'onMessage', 'onClose', 'onError', 'handler'].flatMap((name) => ['x', null, {}].map((value): [unknown[], object] => [['/', { ...valid, [name]: value }], { code: 'FST_ERR_WS_OPTION_INVALID', message: new RegExp(`"${name}" must be a function`) }])),
    ...['v1', [1], ['a b'], ['a', 'a'], ['']].map((protocols): [unknown[], object] => [['/', { ...valid, protocols }], { code: 'FST_ERR_WS_OPTION_INVALID', message: /"protocols" must be a list of different tokens/ }]),
    [['/', { ...valid, handshakeTimeout: '1s' }], { code: 'FST_ERR_WS_OPTION_INVALID' }],
    [['/', { ...valid, handlerTimeout: 5 }], { code: 'FST_ERR_WS_OPTION_INVALID', message: /"handlerTimeout".*"handshakeTimeout"/ }],
    ...[0, -1, 1.5, '64k', NaN].flatMap((value) => ['highWaterMark', 'maxBufferedAmount', 'heartbeat'].map((name): [unknown[], object] => [['/', { ...valid, [name]: value }], { code: 'FST_ERR_WS_OPTION_INVALID', message: new RegExp(`"${name}" must be a`) }])),
    [['/', { ...valid, heartbeat: true }], { code: 'FST_ERR_WS_OPTION_INVALID', message: /"heartbeat" must be a number of milliseconds from 1 to 2147483647, or false, got true/ }],
    [['/', { ...valid, onError: [() => {}] }], { code: 'FST_ERR_WS_OPTION_INVALID', message: /"onError" must be a function/ }],
    [['/', { ...valid, onOpen () {} }], { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: 'Unknown option "onOpen" of the WebSocket route "/"' }],
    [['/', { onConection () {} }], { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /did you mean "onConnection"/ }],
    [['/', { ...valid, protocol: ['a'] }], { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /did you mean "protocols"/ }],
    [['/', { ...valid, maxPayloads: 1 }], { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /did you mean "maxPayload"/ }],
    [['/', { ...valid, maxPaylaod: 1 }], { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /did you mean "maxPayload"/ }],
    [['/', { wsHandler () {} }], { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /"onConnection"/ }],
    ...[
      ['verifyClient', 'conn.reject()'], ['handleProtocols', '"protocols"'], ['subprotocols', '"protocols"'], ['upgrade', '"onHandshake"'], ['open', '"onConnection"'],
      ['message', '"onMessage"'], ['idleTimeout', '"heartbeat"'], ['options', '"maxPayload"'], ['preClose', '1001'],
      ['receive', 'it stands in "schema"'], ['send', 'it stands in "schema"'], ['maxConection', 'did you mean "maxConnections"?']
    ].map(([name = '', hint = '']): [unknown[], object] => [['/rooms', { ...valid, [name]: {} }], {
      code: 'FST_ERR_WS_OPTION_UNKNOWN', message: new RegExp(`^Unknown option "${name}" of the WebSocket route "/rooms": .*${hint.replace(/[()?.]/g, '\\$&')}`)
    }]),
    ...[
      ['recieve', 'did you mean "receive"'], ['message', 'those of the server "send"'], ['messages', 'those of the server "send"'], ['body', 'a handshake has no body'],
      ['header', 'did you mean "headers"'], ['queryString', 'did you mean "querystring"']
    ].map(([name = '', hint = '']): [unknown[], object] => [['/', { ...valid, schema: { [name]: { type: 'object' } } }], {
      code: 'FST_ERR_WS_OPTION_UNKNOWN', message: new RegExp(`^Unknown option "schema.${name}" of the WebSocket route "/": .*${hint}`)
    }]),
    ...[{ type: 'object', properties: { a: {} } }, { header: {} }, { headers: {}, content: {} }, 'x', null].map((entry): [unknown[], object] => [['/', { ...valid, schema: { response: { 101: entry } } }], {
      code: 'FST_ERR_WS_OPTION_INVALID', message: /"schema\.response\[101\]" must be an object with the schema of the headers/
    }]),
    [['/', { ...valid, schema: 'x' }], { code: 'FST_ERR_WS_OPTION_INVALID', message: /"schema" must be an object/ }],
    [['/', { ...valid, url: '/x' }], { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /first argument/ }],
    [['/', { ...valid, websocket: true }], { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: /every route/ }]
  ]
  for (const [args, error] of cases) {
    t.throws(() => app.websocketRoute(...args), error as Error, inspect(args))
  }
  try {
    app.websocketRoute('/', { ...valid, maxPayload: 0 })
  } catch (error) {
    t.ok(error instanceof TypeError)
  }
})

t.test('takes keys of a schema that other plugins read', async (t) => {
  const app = await newApp(t)
  const schema = { tags: ['a'], summary: 'b', description: 'c', hide: true, security: [], operationId: 'd', $id: 'e', 'x-any': 1, response: { 101: { headers: {}, description: 'f', 'x-any': 1 }, 401: {} } }
  t.doesNotThrow(() => (app as unknown as Untyped).websocketRoute('/', { ...valid, schema }))
  t.doesNotThrow(() => (app as unknown as Untyped).websocketRoute('/described', { ...valid, schema: { response: { 101: { description: 'Switching Protocols' } } } }))
})

t.test('refuses a route that is written for @fastify/websocket, where that is not registered', async (t) => {
  const app = await newApp(t) as unknown as FastifyInstance
  const error = (option: string): Error => ({ code: 'FST_ERR_WS_FOREIGN_ROUTE', message: new RegExp(`^The route "/old" has "${option}"`) } as object as Error)
  t.throws(() => app.get('/old', { websocket: true } as object, async () => {}), error('websocket'))
  t.throws(() => app.route({ method: 'GET', url: '/old', handler: async () => {}, wsHandler () {} } as never), error('wsHandler'))
  t.doesNotThrow(() => app.get('/', { websocket: false } as object, async () => {}))
  await app.register(async (child) => {
    await child.register(fastifyWebsocket)
    t.doesNotThrow(() => child.get('/old', { websocket: true }, () => {}))
  })
})

t.test('takes options that other plugins may read from a route', async (t) => {
  const app = await newApp(t)
  t.doesNotThrow(() => (app as unknown as Untyped).websocketRoute('/', { ...valid, method: 'get', rateLimit: {}, helmet: false, onTimeout () {}, onRequestAbort () {}, onError () {}, undefinedOption: undefined }))
})

t.test('refuses two routes on one path, and a route after the start, as Fastify does', async (t) => {
  const { app } = await startApp(t, (app) => {
    app.websocketRoute('/', valid)
    t.throws(() => app.websocketRoute('/', valid), { code: 'FST_ERR_DUPLICATED_ROUTE' })
  })
  t.throws(() => app.websocketRoute('/late', valid), { code: 'FST_ERR_INSTANCE_ALREADY_LISTENING' })
})
