// What is thrown may be anything, also what cannot be read or logged: it is contained all the same, and the server closes.
import t from 'tap'
import type { FastifyBaseLogger } from 'fastify'
import type { WebSocketConnection } from '../../index.ts'
import { startApp } from '../support/app.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, openRaw, type RawClient, textFrame } from '../support/raw.ts'

t.setTimeout(240_000)

const fail = (): never => { throw new Error('not to be read') }

const unreadable: Record<string, () => unknown> = {
  'a frozen error': () => Object.freeze(new Error('frozen')),
  'an error whose code cannot be read': () => Object.defineProperty(new Error('x'), 'code', { get: fail, enumerable: true }),
  'an error whose message cannot be read': () => Object.defineProperty(new Error('x'), 'message', { get: fail }),
  'an error whose stack cannot be read': () => Object.defineProperty(new Error('x'), 'stack', { get: fail }),
  'a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  },
  'a function without a text': () => Object.assign(() => {}, { toString: fail })
}

interface Place {
  options: (run: () => unknown) => object
  /** Nothing can be sent any more. */
  isLate?: boolean
}

const places: Record<string, Place> = {
  onConnection: { options: (run) => ({ onConnection: run }) },
  onMessage: { options: (run) => ({ onMessage: run }) },
  onClose: { options: (run) => ({ onMessage (conn: WebSocketConnection) { conn.terminate() }, onClose: run }), isLate: true },
  'a listener': { options: (run) => ({ onConnection (conn: WebSocketConnection) { conn.on('message', run) } }) },
  'an iteration': { options: (run) => ({ async onConnection (conn: WebSocketConnection) { for await (const message of conn) if (message === 'x') await run() } }) },
  onError: { options: (run) => ({ onMessage: fail, onError: run }) },
  'onHandshake, after it had accepted': {
    options: (run) => ({ onHandshake (conn: WebSocketConnection) { conn.acceptWith(); return run() } })
  }
}

for (const [place, { options, isLate = false }] of Object.entries(places)) {
  for (const [name, create] of Object.entries(unreadable)) {
    for (const [kind, run] of [['throws', () => { throw create() }], ['rejects with', async () => { await null; throw create() }]] as const) {
      t.test(`when ${place} ${kind} ${name}, it is logged somehow, and the client sees 1011`, async (t) => {
        const { app, port, logs } = await startApp(t, (app) => { app.websocketRoute('/', options(run)) })
        const client = await openRaw(t, port)
        client.write(textFrame('x'))
        if (!isLate) {
          t.same(await client.untilClose(), { code: 1011, reason: '' })
          client.write(closeFrame(1011))
        }
        await client.untilEnd()
        await eventually(() => logs.some(({ level }) => level === 50))
        await app.close()
        t.match(logs.filter(({ level }) => level >= 50), [{ level: 50, msg: /^WebSocket error$|^onError failed$|^onHandshake failed/ }])
      })
    }
  }
}

t.test('what cannot be logged is told as far as it can be read', async (t) => {
  const { port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/', { onMessage () { throw Object.freeze(Object.assign(new Error('frozen'), { closeCode: 4001, reason: 'own' })) } })
  })
  const client = await openRaw(t, port)
  client.write(textFrame('x'))
  t.same(await client.untilClose(), { code: 4001, reason: 'own' })
  t.match(logs.filter(({ level }) => level >= 50), [{
    msg: 'WebSocket error', connId: Number, reqId: 'req-1', err: { message: /cannot be logged: Error: frozen/ }
  }])
})

t.test('onError gets what was thrown as it is', async (t) => {
  const error = Object.freeze(new Error('frozen'))
  const seen = deferred<unknown>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onMessage () { throw error }, onError (_conn, error) { seen.resolve(error) } })
  })
  const client = await openRaw(t, port)
  client.write(textFrame('x'))
  t.equal(await seen.promise, error)
})

t.test('a logger that throws does not keep the connection from being closed', async (t) => {
  const childLoggerFactory = (logger: FastifyBaseLogger): FastifyBaseLogger => Object.assign(Object.create(logger) as FastifyBaseLogger, { error: fail })
  const { app, port } = await startApp(t, (app) => { app.websocketRoute('/', { childLoggerFactory, onMessage: fail }) })
  const client: RawClient = await openRaw(t, port)
  client.write(textFrame('x'))
  t.same(await client.untilClose(), { code: 1011, reason: '' })
  client.write(closeFrame(1011))
  await app.close()
})
