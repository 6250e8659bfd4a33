// `handshakeTimeout` is one time, wherever a handshake waits and whatever hangs.
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import websocket, { type WebSocketConnection } from '../../index.ts'
import { startApp } from '../support/app.ts'
import { connectRefused } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { handshake, RawClient } from '../support/raw.ts'

const TIMEOUT = 400

const hangs = (): Promise<never> => new Promise(() => {})
const fails = (): never => { throw new Error('no') }
const later = async (milliseconds: number): Promise<void> => { await new Promise((resolve) => setTimeout(resolve, milliseconds)) }
const asyncErrorHandler = async (): Promise<object> => { await null; return { own: 'answer' } }

/** Where a handshake can hang, and what is answered. */
const places: Record<string, [options: object, body: RegExp]> = {
  ...Object.fromEntries(['onRequest', 'preParsing', 'preValidation', 'preHandler', 'onHandshake', 'origin'].map((name) => [name, [{ [name]: hangs }, /FST_ERR_WS_HANDSHAKE_TIMEOUT/]])),
  keyGenerator: [{ maxConnectionsPerKey: 1, keyGenerator: hangs }, /FST_ERR_WS_HANDSHAKE_TIMEOUT/],
  'preSerialization of a refusal': [{ onHandshake: (conn: WebSocketConnection) => conn.reject({ body: { a: 1 } }), preSerialization: async (_request: unknown, _reply: unknown, body: { a?: number }) => { if (body.a === 1) await hangs() } }, /FST_ERR_WS_HANDSHAKE_TIMEOUT/],
  'onSend of a 101': [{ onSend: hangs }, /Service Unavailable/],
  'onSend of a refusal': [{ onHandshake: (conn: WebSocketConnection) => conn.reject(), onSend: hangs }, /Service Unavailable/],
  'onSend of the 503': [{ onHandshake: hangs, onSend: hangs }, /Service Unavailable/],
  'onSend, and its first run only': [{ onSend: async (_request: unknown, { statusCode }: { statusCode: number }) => { if (statusCode === 101) await hangs() } }, /FST_ERR_WS_HANDSHAKE_TIMEOUT/],
  'the error handler': [{ onHandshake: fails, errorHandler: hangs }, /Service Unavailable/],
  'the error handler of the time-out': [{ onHandshake: hangs, errorHandler: hangs }, /Service Unavailable/],
  'onHandshake, and the error handler is async': [{ onHandshake: hangs, errorHandler: asyncErrorHandler }, /own.*answer/],
  'onHandshake, and onSend is async': [{ onHandshake: hangs, onSend: async () => { await null } }, /FST_ERR_WS_HANDSHAKE_TIMEOUT/],
  'a hook after one that took its time': [{ onRequest: async () => { await later(TIMEOUT / 2) }, preHandler: hangs }, /FST_ERR_WS_HANDSHAKE_TIMEOUT/]
}

/** Timers that are due later fire later, however busy the machine is; what they have found due is answered in the turn after that. */
async function after (part: number): Promise<void> {
  await later(TIMEOUT * part)
  for (let i = 0; i < 3; i++) await new Promise(setImmediate)
}

t.test('no handshake takes longer, and none gets a second period', async (t) => {
  const answers: string[] = []
  const { app, port } = await startApp(t, (app) => {
    for (const [i, [options]] of Object.values(places).entries()) {
      app.websocketRoute(`/${i}`, { handshakeTimeout: TIMEOUT, ...options, onConnection () { t.fail(`${i}: opened`) } })
    }
  })
  const clients = await Promise.all(Object.keys(places).map(async () => await RawClient.connect(t, port)))
  const soon = after(0.5).then(() => answers.length)
  for (const [i, client] of clients.entries()) {
    client.socket.on('end', () => client.socket.end())
    client.write(handshake(`/${i}`, Object.keys(places)[i] === 'origin' ? { Origin: 'http://a.example' } : {}))
    void client.head().then(() => answers.push(String(i)))
  }
  const refused = (): number => Object.values(app.websockets.stats.refused).reduce((sum, count) => sum + count, 0)
  await eventually(() => app.websockets.stats.pending + refused() === clients.length)
  const late = after(1.8)
  t.equal(await soon, 0, 'not before it is over')
  await late
  t.equal(app.websockets.stats.pending, 0, 'nor a second time after it')
  for (const [i, [name, [, body]]] of Object.entries(places).entries()) {
    t.match(await clients[i]?.wholeResponse(), { status: name.includes('handler is async') ? 200 : 503, body }, name)
  }
  t.match(app.websockets.stats, { pending: 0, accepted: 0, aborted: 0 })
})

t.test('hooks before the plugin, and waiting for earlier answers, are part of the one time', async (t) => {
  const begun = [deferred(), deferred()]
  const { app, port } = await startApp(t, async (app) => {
    app.addHook('onRequest', async ({ url }) => {
      begun.pop()?.resolve()
      if (url === '/hook') await later(TIMEOUT * 0.8)
    })
    await app.register(websocket, { handshakeTimeout: TIMEOUT })
    app.get('/slow', async () => { await later(TIMEOUT * 0.8); return 'slow' })
    app.websocketRoute('/hook', { onHandshake: hangs })
    app.websocketRoute('/own', { handshakeTimeout: TIMEOUT - 1, onHandshake: hangs })
  }, { withoutPlugin: true })
  const haveBegun = Promise.all(begun.map(async ({ promise }) => { await promise }))
  const clients = await Promise.all(['/hook', '/own'].map(async (path) => {
    const client = await RawClient.connect(t, port)
    client.socket.on('end', () => client.socket.end())
    client.write((path === '/own' ? 'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n' : '') + handshake(path))
    return client
  }))
  await haveBegun
  await after(1.4)
  t.match(app.websockets.stats, { pending: 0, refused: { 503: 2 } })
  for (const client of clients) t.match(String(await client.untilEnd()), /503 Service Unavailable[^]*FST_ERR_WS_HANDSHAKE_TIMEOUT/)
})

t.test('a refusal is sent for as long as its client reads, however little of the time was left', async (t) => {
  const timeout = 1_500
  const size = 8 * 1024 * 1024
  const chunk = Buffer.alloc(65_536)
  const { port } = await startApp(t, async (app) => {
    app.addHook('onRequest', async () => { await later(timeout * 0.9) })
    await app.register(websocket, { handshakeTimeout: timeout })
    app.websocketRoute('/', { onHandshake (conn) { conn.reject({ body: Readable.from(Array.from({ length: size / chunk.length }, () => chunk)) }) } })
  }, { withoutPlugin: true })
  const client = await RawClient.connect(t, port)
  client.socket.on('end', () => client.socket.end())
  client.write(handshake('/'))
  await client.head()
  client.socket.pause()
  client.socket.removeAllListeners('data')
  await later(timeout * 0.4)
  client.socket.resume()
  await client.untilEnd()
  t.ok(client.socket.bytesRead > size, `${client.socket.bytesRead} bytes`)
})

const ends: Record<string, (app: FastifyInstance, client: RawClient) => unknown> = {
  'the time is over' () {},
  'the client resets': (_app, { socket }) => socket.resetAndDestroy(),
  'the client half-closes': (_app, { socket }) => socket.end(),
  'the server closes': (app) => { void app.close() },
  'the server drains': (app) => { void app.websockets.drain() }
}
for (const [name, end] of Object.entries(ends)) {
  t.test(`request.signal is aborted when ${name}, also for who asks for it first when that is over`, async (t) => {
    for (const asks of ['before', 'after']) {
      const reached = deferred()
      const release = deferred()
      const aborted = deferred()
      const asked = deferred<boolean>()
      let early: FastifyRequest | undefined
      const { app, port } = await startApp(t, (app) => {
        app.websocketRoute('/', {
          handshakeTimeout: name === 'the time is over' ? 50 : false,
          async onHandshake (_conn, request) {
            if (asks === 'before') request.signal.addEventListener('abort', () => aborted.resolve())
            early = request
            reached.resolve()
            await release.promise
            asked.resolve(request.signal.aborted)
          },
          onConnection () { t.fail('opened') }
        })
      })
      const client = await RawClient.connect(t, port)
      client.socket.on('end', () => client.socket.end())
      client.write(handshake('/'))
      await reached.promise
      end(app, client)
      if (asks === 'before') await aborted.promise
      await client.untilEnd()
      while (app.websockets.stats.pending > 0) await new Promise(setImmediate)
      release.resolve()
      t.equal(await asked.promise, true, asks)
      t.equal(early?.signal.aborted, true)
      await app.close()
    }
  })
}

t.test('a handshake that is answered aborts no signal', async (t) => {
  const signals: AbortSignal[] = []
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onHandshake (conn, { signal }) { signals.push(signal); conn.reject() } })
  })
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/`)).status, 403)
  t.equal(signals[0]?.aborted, false)
})
