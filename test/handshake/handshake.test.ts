// The outcomes of a handshake, with the hooks that run and the lines that are logged.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import websocket from '../../index.ts'
import { startApp } from '../support/app.ts'
import { closed, connect, connectRefused, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { count, field, handshake, RawClient, SAMPLE_ACCEPT, textFrame } from '../support/raw.ts'

// Notes the name of every hook that runs.
function noteHooks (app: FastifyInstance, seen: string[]): void {
  app.addHook('onRequest', async () => { seen.push('onRequest') })
  app.addHook('preParsing', async () => { seen.push('preParsing') })
  app.addHook('preValidation', async () => { seen.push('preValidation') })
  app.addHook('preHandler', async () => { seen.push('preHandler') })
  app.addHook('preSerialization', async () => { seen.push('preSerialization') })
  app.addHook('onError', async () => { seen.push('onError') })
  app.addHook('onSend', async () => { seen.push('onSend') })
  app.addHook('onResponse', async (_request, reply) => { seen.push(`onResponse ${reply.statusCode}`) })
  app.addHook('onRequestAbort', async (_request) => { seen.push('onRequestAbort') })
}

const BEFORE_HANDLER = ['onRequest', 'preParsing', 'preValidation', 'preHandler']

t.test('accepts with the headers of acceptWith, and runs every hook', async (t) => {
  const seen: string[] = []
  const opened = deferred()
  const { port, logs } = await startApp(t, (app) => {
    noteHooks(app, seen)
    app.websocketRoute('/', {
      async onHandshake (conn) {
        seen.push('onHandshake')
        await null
        conn.acceptWith({ headers: { 'x-session': 's1', 'X-Count': 3 } })
      },
      onConnection () {
        seen.push('onConnection')
        opened.resolve()
      }
    })
  })
  const { headers } = await connect(t, `ws://127.0.0.1:${port}/`)
  t.match(headers, { 'x-session': 's1', 'x-count': '3' })
  await opened.promise
  t.same(seen, [...BEFORE_HANDLER, 'onHandshake', 'onSend', 'onResponse 101', 'onConnection'])
  const completed = logs.filter(({ msg }) => msg === 'request completed')
  t.match(completed, [{ level: 30, reqId: 'req-1', res: { statusCode: 101 }, responseTime: Number }])
  t.equal(completed.length, 1)
})

t.test('rejects with the reply that reject describes, and runs every hook', async (t) => {
  const seen: string[] = []
  const { port, logs } = await startApp(t, (app) => {
    noteHooks(app, seen)
    app.websocketRoute('/', {
      schema: { response: { 401: { type: 'object', properties: { error: { type: 'string' } } } } },
      onHandshake (conn) {
        conn.reject({ code: 401, body: { error: 'authorization required', secret: 1 }, headers: { 'www-authenticate': 'Bearer' } })
      },
      onConnection () { seen.push('onConnection') }
    })
  })
  const { status, headers, body } = await connectRefused(t, `ws://127.0.0.1:${port}/`)
  t.equal(status, 401)
  t.equal(body, '{"error":"authorization required"}', 'serialised by the schema')
  t.match(headers, {
    'www-authenticate': 'Bearer', connection: 'close', 'content-type': 'application/json; charset=utf-8', 'content-length': String(body.length)
  })
  t.same(seen, [...BEFORE_HANDLER, 'preSerialization', 'onSend', 'onResponse 401'])
  t.match(logs.find(({ msg }) => msg === 'request completed'), { level: 30, res: { statusCode: 401 } })
})

t.test('accepts when onHandshake calls neither, or is not there', async (t) => {
  const seen: string[] = []
  const { port, logs } = await startApp(t, (app) => {
    noteHooks(app, seen)
    app.websocketRoute('/neither', { onHandshake () {} })
    app.websocketRoute('/neither-async', { async onHandshake () { await null } })
    app.websocketRoute('/none', { onConnection () {} })
  })
  for (const path of ['/neither', '/neither-async', '/none']) {
    const { status } = await connect(t, `ws://127.0.0.1:${port}${path}`)
    t.equal(status, 101, path)
    t.same(seen.splice(0), [...BEFORE_HANDLER, 'onSend', 'onResponse 101'], path)
    t.match(logs.splice(0).find(({ msg }) => msg === 'request completed'), { level: 30, res: { statusCode: 101 }, responseTime: Number }, path)
  }
})

for (const kind of ['sync', 'async'] as const) {
  t.test(`answers by the error handler when a ${kind} onHandshake fails`, async (t) => {
    const seen: string[] = []
    const { port, logs } = await startApp(t, (app) => {
      noteHooks(app, seen)
      const error = Object.assign(new Error('no coffee'), { statusCode: 418 })
      app.websocketRoute('/', {
        onHandshake: kind === 'sync' ? () => { throw error } : async () => { await null; throw error },
        onConnection () { seen.push('onConnection') }
      })
    })
    const { status, body, headers } = await connectRefused(t, `ws://127.0.0.1:${port}/`)
    t.equal(status, 418)
    t.same(JSON.parse(body), { statusCode: 418, error: "I'm a Teapot", message: 'no coffee' })
    t.equal(headers.connection, 'close')
    t.same(seen, [...BEFORE_HANDLER, 'onError', 'onSend', 'onResponse 418'])
    t.match(logs.find(({ err }) => err !== undefined), { level: 30, err: { message: 'no coffee' } })
  })
}

t.test('gives what onHandshake throws to the error handler of the route, whatever it is', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      // eslint-disable-next-line no-throw-literal -- what is thrown may be anything
      onHandshake () { throw 'a string' },
      errorHandler: (error, _request, reply) => { void reply.code(503).send({ own: String(error) }) }
    })
  })
  const { status, body } = await connectRefused(t, `ws://127.0.0.1:${port}/`)
  t.equal(status, 503)
  t.same(JSON.parse(body), { own: 'a string' })
})

t.test('answers 503 and aborts request.signal when onHandshake takes longer than handshakeTimeout', async (t) => {
  const seen: string[] = []
  const aborted = deferred<unknown>()
  const late = deferred<unknown>()
  const { port, logs } = await startApp(t, (app) => {
    noteHooks(app, seen)
    app.websocketRoute('/', {
      handshakeTimeout: 50,
      onHandshake (conn, request) {
        return new Promise<void>((_resolve, reject) => {
          request.signal.addEventListener('abort', () => {
            aborted.resolve(request.raw.destroyed)
            t.doesNotThrow(() => conn.acceptWith({ headers: { late: '1' } }), 'a no-op')
            t.doesNotThrow(() => conn.reject(), 'a no-op')
            late.resolve(null)
            reject(new Error('too late'))
          })
        })
      },
      onConnection () { t.fail('opened') }
    })
  })
  const { status, body, headers } = await connectRefused(t, `ws://127.0.0.1:${port}/`)
  t.equal(status, 503)
  t.match(JSON.parse(body), { code: 'FST_ERR_WS_HANDSHAKE_TIMEOUT', message: /"handshakeTimeout" \(50 ms\)/ })
  t.notOk(headers.late)
  t.equal(await aborted.promise, false, 'the client is still there')
  await late.promise
  t.same(seen, [...BEFORE_HANDLER, 'onError', 'onSend', 'onResponse 503'])
  t.match(logs.find(({ msg }) => msg === 'request completed'), { level: 30, res: { statusCode: 503 } })
  t.match(logs.find(({ err }) => err?.message === 'too late'), { level: 20 }, 'what fails afterwards is a debug line')
})

t.test('answers 503 when a hook hangs', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { handshakeTimeout: 50, preValidation: () => {}, onConnection () { t.fail('opened') } })
  })
  const { status } = await connectRefused(t, `ws://127.0.0.1:${port}/`)
  t.equal(status, 503)
})

t.test('answers 503 when a hook hangs that comes before those of the plugin', async (t) => {
  const aborted = deferred<boolean>()
  const hold = deferred<undefined>()
  const { port } = await startApp(t, async (app) => {
    app.addHook('onRequest', async (request) => {
      if (request.url === '/plain') return await hold.promise
      await new Promise((resolve) => request.signal.addEventListener('abort', resolve))
      aborted.resolve(request.raw.destroyed)
    })
    await app.register(websocket, { handshakeTimeout: 50 })
    app.websocketRoute('/', { onConnection () { t.fail('opened') } })
    app.get('/plain', async () => 'plain')
  }, { withoutPlugin: true })
  const plain = await RawClient.connect(t, port)
  plain.write(handshake('/plain'))
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/`)).status, 503)
  t.equal(await aborted.promise, false)
  hold.resolve(undefined)
  t.equal((await plain.wholeResponse()).body, 'plain', 'a handshake for a plain route is a plain request, with no time-out')
})

t.test('cuts off a refusal that goes on for longer than handshakeTimeout', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      handshakeTimeout: 50,
      onHandshake (conn) {
        const body = new Readable({ read () {} })
        body.push('the beginning')
        conn.reject({ code: 403, body })
      }
    })
  })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/'))
  t.match(String(await client.untilEnd()), /^HTTP\/1\.1 403 [^]*the beginning/)
})

t.test('whoever answers when the signal is aborted is in time', async (t) => {
  const { app, port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      handshakeTimeout: 50,
      async preHandler (request, reply) {
        await new Promise<void>((resolve) => request.signal.addEventListener('abort', () => {
          reply.code(504).send({ own: 'answer' })
          resolve()
        }))
      },
      onConnection () { t.fail('opened') }
    })
  })
  const { status, body } = await connectRefused(t, `ws://127.0.0.1:${port}/`)
  t.equal(status, 504)
  t.same(JSON.parse(body), { own: 'answer' })
  t.match(app.websockets.stats, { refused: { 504: 1 }, pending: 0 })
  t.same(logs.filter(({ level }) => level > 30), [])
})

const DURING_THE_ERROR_HANDLER: Record<string, [end: (client: RawClient, app: FastifyInstance) => unknown, stats: object]> = {
  'the client resets': [(client) => client.socket.resetAndDestroy(), { refused: {}, aborted: 1 }],
  'the client leaves': [(client) => client.socket.destroy(), { refused: {}, aborted: 1 }],
  'the server closes': [(_client, app) => app.close(), { refused: { 503: 1 }, aborted: 0 }],
  'the time is over': [() => {}, { refused: { 503: 1 }, aborted: 0 }]
}
for (const [name, [end, stats]] of Object.entries(DURING_THE_ERROR_HANDLER)) {
  t.test(`an async error handler is to answer, and ${name}`, async (t) => {
    const reached = deferred()
    const hold = deferred<object>()
    const { app, port, logs } = await startApp(t, (app) => {
      app.setErrorHandler(async (_error, { signal }) => {
        reached.resolve()
        signal.addEventListener('abort', () => hold.resolve({ late: 'answer' }))
        return await hold.promise
      })
      app.websocketRoute('/', { handshakeTimeout: name === 'the time is over' ? 100 : false, onHandshake () { throw new Error('no') }, onConnection () { t.fail('opened') } })
    }, { plugin: { closeTimeout: 50 } })
    const client = await RawClient.connect(t, port)
    client.socket.on('end', () => client.socket.end())
    client.write(handshake('/'))
    await reached.promise
    await end(client, app)
    await eventually(() => app.websockets.stats.pending === 0)
    t.match(app.websockets.stats, { ...stats, accepted: 0, open: 0 })
    await hold.promise
    await new Promise(setImmediate)
    await app.close()
    t.same(logs.filter(({ level, err }) => level > 40 && err?.code !== 'FST_ERR_WS_HANDSHAKE_TIMEOUT'), [], 'Fastify logs the error that it answers itself')
  })
}

t.test('the handlerTimeout of the server counts as well', async (t) => {
  const late = deferred<unknown>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onHandshake (conn, request) {
        return new Promise<void>((resolve) => {
          request.signal.addEventListener('abort', () => {
            late.resolve(request.signal.reason)
            conn.acceptWith()
            resolve(undefined)
          })
        })
      },
      onConnection () { t.fail('opened') }
    })
  }, { server: { handlerTimeout: 50 } })
  const { status, body } = await connectRefused(t, `ws://127.0.0.1:${port}/`)
  t.equal(status, 503)
  t.match(JSON.parse(body), { code: 'FST_ERR_HANDLER_TIMEOUT' })
  t.match(await late.promise, { code: 'FST_ERR_HANDLER_TIMEOUT' })
})

t.test('has no time-out with handshakeTimeout: false', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      handshakeTimeout: false,
      onHandshake (conn, request) {
        t.equal(request.routeOptions.handlerTimeout, 0)
        conn.acceptWith({ headers: { 'x-a': 'b' } })
      }
    })
  })
  t.equal((await connect(t, `ws://127.0.0.1:${port}/`)).headers['x-a'], 'b')
})

t.test('answers to the key of RFC 6455 section 1.3 as the RFC says', async (t) => {
  const { port } = await startApp(t, (app) => { app.websocketRoute('/chat', { origin: 'http://example.com', onConnection () {} }) })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/chat', { Origin: 'http://example.com' }))
  const response = await client.head()
  t.equal(response.status, 101)
  t.equal(field(response, 'sec-websocket-accept'), SAMPLE_ACCEPT)
  t.equal(field(response, 'upgrade'), 'websocket')
  t.equal(field(response, 'connection'), 'Upgrade')
})

t.test('puts what hooks and plugins set on the reply on the 101, and nothing that a 101 must not have', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.addHook('onRequest', async (_request, reply) => {
      reply.header('set-cookie', 'a=1').header('set-cookie', 'b=2').header('date', 'Thu, 01 Jan 1970 00:00:00 GMT')
      reply.raw.setHeader('x-raw', 'raw')
      reply.raw.setHeader('x-list', ['1', '2'])
    })
    app.addHook('onSend', async (_request, reply) => {
      reply.headers({ 'x-late': 'late', 'content-length': '7', 'content-type': 'text/plain', 'transfer-encoding': 'chunked', connection: 'close', upgrade: 'h2c' })
    })
    app.websocketRoute('/', { onHandshake (conn) { conn.acceptWith({ headers: { 'set-cookie': ['c=3', 'd=4'], 'x-none': [] } }) } })
  })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/'))
  const response = await client.head()
  t.same(response.fields.map(([name, value]) => `${name.toLowerCase()}: ${value}`).sort(), [
    'connection: Upgrade',
    'date: Thu, 01 Jan 1970 00:00:00 GMT',
    `sec-websocket-accept: ${SAMPLE_ACCEPT}`,
    'set-cookie: a=1', 'set-cookie: b=2', 'set-cookie: c=3', 'set-cookie: d=4',
    'upgrade: websocket',
    'x-late: late', 'x-list: 1', 'x-list: 2', 'x-raw: raw'
  ])
  t.equal(count(response, 'date'), 1)
})

t.test('delivers frames that came with the request, or during the handshake, in order', async (t) => {
  const release = deferred()
  const received: string[] = []
  const all = deferred()
  const handshaking = deferred()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      async onHandshake () {
        handshaking.resolve()
        await release.promise
      },
      onConnection (conn) {
        received.push('onConnection')
        conn.on('message', (data) => {
          received.push(String(data))
          if (received.length === 5) all.resolve()
        })
      }
    })
  })
  const client = await RawClient.connect(t, port)
  client.write(Buffer.concat([Buffer.from(handshake('/')), textFrame('one'), textFrame('two')]))
  await handshaking.promise
  client.write(Buffer.concat([textFrame('three'), textFrame('four').subarray(0, 3)]))
  client.write(textFrame('four').subarray(3))
  release.resolve()
  await all.promise
  t.same(received, ['onConnection', 'one', 'two', 'three', 'four'])
})

t.test('delivers more early bytes than it keeps, and keeps the memory bounded', async (t) => {
  const release = deferred()
  const handshaking = deferred<Socket>()
  const done = deferred()
  let bytes = 0
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      async onHandshake (_conn, request) {
        handshaking.resolve(request.socket)
        await release.promise
      },
      onConnection (conn) {
        conn.on('message', (data: Buffer) => {
          bytes += data.length
          if (bytes === 8000 * 100) done.resolve()
        })
      }
    })
  })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/'))
  const socket = await handshaking.promise
  for (let i = 0; i < 8000; i++) client.write(textFrame('x'.repeat(100)))
  while (!socket.isPaused()) await new Promise((resolve) => setImmediate(resolve))
  t.ok(socket.bytesRead < 300_000, `the rest waits in the kernel: ${socket.bytesRead} bytes read`)
  release.resolve()
  await done.promise
  t.equal(bytes, 800_000)
})

t.test('delivers what comes while an async onConnection is busy, and as soon as it listens', async (t) => {
  const received: string[] = []
  const listening = deferred()
  const settled = deferred()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/after', {
      async onConnection (conn) {
        await new Promise((resolve) => setImmediate(resolve))
        conn.on('message', (data) => conn.send(`after ${String(data)}`))
      }
    })
    app.websocketRoute('/inside', {
      async onConnection (conn) {
        await null
        received.push(await new Promise((resolve) => conn.once('message', (data) => resolve(String(data)))))
        listening.resolve()
      }
    })
    app.websocketRoute('/before', {
      onHandshake (conn) { conn.on('message', (data) => conn.send(`before ${String(data)}`)) },
      async onConnection () { await settled.promise }
    })
  })
  const after = await RawClient.connect(t, port)
  after.write(Buffer.concat([Buffer.from(handshake('/after')), textFrame('1')]))
  await after.until((bytes) => bytes.includes('after 1'))
  const inside = await RawClient.connect(t, port)
  inside.write(Buffer.concat([Buffer.from(handshake('/inside')), textFrame('2')]))
  await listening.promise
  t.same(received, ['2'])
  const before = await RawClient.connect(t, port)
  before.write(Buffer.concat([Buffer.from(handshake('/before')), textFrame('3')]))
  await before.until((bytes) => bytes.includes('before 3'))
  settled.resolve()
})

t.test('sends a refusal as the same reply on a plain route would be sent', async (t) => {
  const bodies: Record<string, () => unknown> = {
    string: () => 'plain text',
    buffer: () => Buffer.from([1, 2, 3]),
    json: () => ({ a: [1, 'two'] }),
    null: () => null,
    stream: () => Readable.from(['from ', 'a ', 'stream']),
    web: () => new ReadableStream({ start (controller) { controller.enqueue(new TextEncoder().encode('web')); controller.close() } }),
    response: () => new Response('a response', { status: 402, headers: { 'x-from': 'response' } })
  }
  const { port } = await startApp(t, (app) => {
    for (const [name, body] of Object.entries(bodies)) {
      app.websocketRoute(`/ws/${name}`, { onHandshake (conn) { conn.reject({ code: 402, body: body() }) } })
      app.get(`/plain/${name}`, (_request, reply) => { void reply.code(402).send(body()) })
    }
  })
  for (const name of Object.keys(bodies)) {
    const refused = await connectRefused(t, `ws://127.0.0.1:${port}/ws/${name}`)
    const plain = await fetch(`http://127.0.0.1:${port}/plain/${name}`)
    t.equal(refused.status, 402, name)
    t.equal(refused.body, await plain.text(), name)
    t.equal(refused.headers.connection, 'close', name)
    const { connection, date, 'keep-alive': keepAlive, ...expected } = Object.fromEntries(plain.headers)
    t.match(refused.headers, expected, name)
  }
})

t.test('has defaults for the code and the body of a refusal', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/none', { onHandshake (conn) { conn.reject() } })
    app.websocketRoute('/code', { onHandshake (conn) { conn.reject({ code: 404 }) } })
    app.websocketRoute('/unknown', { onHandshake (conn) { conn.reject({ code: 499 }) } })
    app.websocketRoute('/redirect', { onHandshake (conn) { conn.reject({ code: 307, headers: { location: '/elsewhere' } }) } })
    app.websocketRoute('/response', { onHandshake (conn) { conn.reject({ body: new Response('gone', { status: 410 }) }) } })
    app.websocketRoute('/rewrapped', { onHandshake (conn) { conn.reject({ code: 451, body: new Response('not here', { headers: { 'x-why': 'law' } }) }) } })
  })
  const message = 'The WebSocket handshake was rejected'
  const none = await connectRefused(t, `ws://127.0.0.1:${port}/none`)
  t.same([none.status, JSON.parse(none.body)], [403, { statusCode: 403, error: 'Forbidden', message }])
  const code = await connectRefused(t, `ws://127.0.0.1:${port}/code`)
  t.same([code.status, JSON.parse(code.body)], [404, { statusCode: 404, error: 'Not Found', message }])
  const unknown = await connectRefused(t, `ws://127.0.0.1:${port}/unknown`)
  t.same([unknown.status, JSON.parse(unknown.body)], [499, { statusCode: 499, error: 'Unknown', message }])
  const redirect = await connectRefused(t, `ws://127.0.0.1:${port}/redirect`)
  t.same([redirect.status, redirect.body, redirect.headers.location], [307, '', '/elsewhere'])
  const response = await connectRefused(t, `ws://127.0.0.1:${port}/response`)
  t.same([response.status, response.body], [410, 'gone'])
  const rewrapped = await connectRefused(t, `ws://127.0.0.1:${port}/rewrapped`)
  t.same([rewrapped.status, rewrapped.body, rewrapped.headers['x-why']], [451, 'not here', 'law'])
})

t.test('sends the whole of a large refusal to a client that has sent frames already', async (t) => {
  const body = Buffer.alloc(5 * 1024 * 1024, 'x')
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/sync', { onHandshake (conn) { conn.reject({ code: 403, body }) } })
    app.websocketRoute('/async', { async onHandshake (conn) { await null; conn.reject({ code: 403, body }) } })
  })
  for (const path of ['/sync', '/async']) {
    const client = await RawClient.connect(t, port)
    client.socket.pause()
    client.write(handshake(path))
    for (let i = 0; i < 1000; i++) client.write(textFrame('early'))
    client.socket.resume()
    const { status, rest } = await client.wholeResponse()
    t.equal(status, 403)
    t.equal(rest.length, body.length, `${path}: all of it`)
  }
})

t.test('reads what a refused client still sends, so that no reset takes the refusal from it', async (t) => {
  const body = Buffer.alloc(600_000, 'x')
  const answered = deferred<Socket>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onHandshake (conn) { conn.reject({ body }) },
      onResponse: async (request) => { answered.resolve(request.socket) }
    })
  })
  const client = await RawClient.connect(t, port)
  client.socket.pause()
  client.write(handshake('/'))
  const socket = await answered.promise
  client.write(Buffer.alloc(1_000_000))
  await once(socket, 'close')
  client.socket.resume()
  t.equal((await client.wholeResponse()).rest.length, body.length)
})

t.test('closes the socket of a refused client that never ends its side', async (t) => {
  const { port } = await startApp(t, (app) => { app.websocketRoute('/', { onHandshake (conn) { conn.reject() } }) })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/'))
  await client.wholeResponse()
  t.notOk(client.socket.destroyed)
  const failed = new Promise((resolve) => client.socket.once('error', resolve))
  const poke = setInterval(() => client.write('still here'), 50)
  await failed
  clearInterval(poke)
})

t.test('is a WebSocket of ws, with an id, the request and its logger', async (t) => {
  const connections = deferred<WebSocket>()
  const { port } = await startApp(t, (app) => {
    let handshakeId = 0
    app.websocketRoute('/:name', {
      onHandshake (conn, request) {
        handshakeId = conn.id
        t.ok(Number.isSafeInteger(conn.id) && conn.id > 0)
        t.equal(conn.readyState, WebSocket.CONNECTING)
        t.equal(conn.request, request)
        t.equal(conn.log, request.log)
        t.throws(() => conn.send('x'))
      },
      onConnection (conn, request) {
        t.equal(conn.id, handshakeId)
        t.equal(conn.request, request)
        t.same(request.params, { name: 'x' })
        t.equal(conn.readyState, WebSocket.OPEN)
        connections.resolve(conn)
      }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/x`)
  const connection = await connections.promise
  t.ok(connection instanceof WebSocket)
  connection.send('from the server')
  t.equal(await nextMessage(socket), 'from the server')
})

t.test('never gives an id twice', async (t) => {
  const ids = new Set<number>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onHandshake (conn) { ids.add(conn.id); if (conn.id % 2 === 0) conn.reject() } })
  })
  await Promise.allSettled(Array.from({ length: 20 }, () => connect(t, `ws://127.0.0.1:${port}/`)))
  t.equal(ids.size, 20)
})

for (const kind of ['sync', 'async'] as const) {
  t.test(`logs what a ${kind} onConnection throws and closes with 1011`, async (t) => {
    const { port, logs } = await startApp(t, (app) => {
      app.websocketRoute('/', {
        onConnection: kind === 'sync' ? () => { throw new Error('broken') } : async () => { await null; throw new Error('broken') }
      })
    })
    const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
    t.equal(await closed(socket), 1011)
    t.match(logs.find(({ level }) => level === 50), { msg: 'WebSocket error', err: { message: 'broken' }, connId: Number, reqId: 'req-1' })
  })
}
