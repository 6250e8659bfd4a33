// A handshake is settled once.
import type { FastifyError } from 'fastify'
import t, { type Test } from 'tap'
import type { WebSocketConnection } from '../../index.ts'
import { startApp } from '../support/app.ts'
import { closed, connect, connectRefused } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { isFastify } from '../support/fastify-version.ts'

function codeOf (act: () => void): string {
  try {
    act()
    return 'nothing thrown'
  } catch (error) {
    return `${(error as FastifyError).code} ${(error as FastifyError).message.includes('onHandshake') ? 'says where' : ''}`
  }
}

const SETTLED = 'FST_ERR_WS_HANDSHAKE_SETTLED says where'
const orders = [['acceptWith', 'acceptWith'], ['acceptWith', 'reject'], ['reject', 'acceptWith'], ['reject', 'reject']] as const

for (const [first, second] of orders) {
  for (const kind of ['at once', 'later', 'while onSend runs'] as const) {
    t.test(`${second} ${kind} after ${first} throws and changes nothing`, async (t) => {
      const codes: string[] = []
      const { port } = await startApp(t, (app) => {
        if (kind === 'while onSend runs') app.addHook('onSend', async () => { await new Promise((resolve) => setImmediate(resolve)) })
        app.websocketRoute('/', {
          async onHandshake (conn) {
            conn[first]({ headers: { 'x-answer': 'first' } })
            if (kind !== 'at once') await null
            codes.push(codeOf(() => conn[second]({ headers: { 'x-answer': 'second' } })))
          }
        })
      })
      const { headers } = first === 'acceptWith'
        ? await connect(t, `ws://127.0.0.1:${port}/`)
        : await connectRefused(t, `ws://127.0.0.1:${port}/`)
      t.equal(headers['x-answer'], 'first')
      t.same(codes, [SETTLED])
    })
  }
}

for (const method of ['acceptWith', 'reject'] as const) {
  t.test(`${method} throws from onConnection, and the connection stays open`, async (t) => {
    const done = deferred<string>()
    const { port } = await startApp(t, (app) => {
      app.websocketRoute('/', { onConnection (conn) { done.resolve(codeOf(() => conn[method]())) } })
    })
    const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
    t.equal(await done.promise, SETTLED)
    socket.close(1000)
    t.equal(await closed(socket), 1000)
  })

  t.test(`${method} throws after onHandshake has failed`, async (t) => {
    let connection: WebSocketConnection | undefined
    const { port } = await startApp(t, (app) => {
      app.websocketRoute('/', { onHandshake (conn) { connection = conn; throw new Error('failed') } })
    })
    await connectRefused(t, `ws://127.0.0.1:${port}/`)
    t.equal(codeOf(() => connection?.[method]()), SETTLED)
  })
}

async function startFailing (t: Test, act: (conn: WebSocketConnection) => void, isSlow = false): Promise<{ url: string, logged: () => unknown }> {
  const { port, logs } = await startApp(t, (app) => {
    if (isSlow) app.addHook('onSend', async () => { await new Promise((resolve) => setImmediate(resolve)) })
    app.websocketRoute('/', { onHandshake (conn) { act(conn); throw new Error('afterwards') } })
  })
  return { url: `ws://127.0.0.1:${port}/`, logged: () => logs.find(({ level }) => level === 50) }
}

t.test('onHandshake that fails after it accepted is logged, and closes the connection with 1011', async (t) => {
  for (const isSlow of [false, true]) {
    const { url, logged } = await startFailing(t, (conn) => conn.acceptWith(), isSlow)
    t.equal(await closed((await connect(t, url)).socket), 1011)
    t.match(logged(), { msg: /after it had accepted/, err: { message: 'afterwards' } })
  }
})

t.test('onHandshake that fails after it rejected is logged, and the refusal stands', async (t) => {
  const { url, logged } = await startFailing(t, (conn) => conn.reject({ code: 402 }))
  t.equal((await connectRefused(t, url)).status, 402)
  t.match(logged(), { msg: /after it had rejected/, err: { message: 'afterwards' } })
})

t.test('an error thrown by acceptWith leaves room for reject', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onHandshake (conn) {
        t.throws(() => conn.acceptWith({ headers: { 'x-a': '\r\n' } }), { code: 'FST_ERR_WS_HEADER_INVALID' })
        conn.reject({ code: 409 })
      }
    })
  })
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/`)).status, 409)
})

t.test('a header of a hook that cannot be sent is an error of the app, answered with 500', async (t) => {
  const { port, logs } = await startApp(t, (app) => {
    app.addHook('preHandler', async (_request, reply) => { reply.header('x-bad', 'a\r\nb: c') })
    app.websocketRoute('/sync', { onConnection () { t.fail('opened') } })
    app.websocketRoute('/async', { async onHandshake () { await null }, onConnection () { t.fail('opened') } })
    app.websocketRoute('/reject', { onHandshake (conn) { conn.reject() } })
    app.websocketRoute('/hook', { onSend: async () => { await null }, async onHandshake () { await null }, onConnection () { t.fail('opened') } })
  })
  // Before, what an answer throws when an async onSend hook has run is an unhandled rejection, for plain requests too.
  const paths = ['/sync', '/async', '/reject', ...isFastify('5.11.0') ? ['/hook'] : []]
  for (const path of paths) {
    const { status, headers } = await connectRefused(t, `ws://127.0.0.1:${port}${path}`)
    t.equal(status, 500, path)
    t.notOk(headers['x-bad'] ?? headers.b, path)
  }
  t.ok(logs.some(({ level, err }) => level === 50 && err?.code === 'ERR_INVALID_CHAR'))
})

t.test('an onSend hook that fails is answered by the error handler, and nothing opens', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onSend: async (_request, reply) => { if (reply.statusCode === 101) throw Object.assign(new Error('onSend'), { statusCode: 507 }) },
      onConnection () { t.fail('opened') }
    })
  })
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/`)).status, 507)
})

t.test('close throws during the handshake and names reject; terminate drops the socket', async (t) => {
  const { port, app, logs } = await startApp(t, (app) => {
    app.websocketRoute('/close', {
      onHandshake (conn) {
        t.throws(() => conn.close(), { code: 'FST_ERR_WS_NOT_OPEN', message: /reject\(\)/ })
        conn.reject()
        t.doesNotThrow(() => conn.close(), 'there is nothing to close any more')
      }
    })
    app.websocketRoute('/terminate', { async onHandshake (conn) { await null; conn.terminate() }, onConnection () { t.fail('opened') } })
    app.websocketRoute('/terminate-sync', { onHandshake (conn) { conn.terminate() }, onConnection () { t.fail('opened') } })
    app.websocketRoute('/terminate-open', { onConnection (conn) { conn.terminate() } })
  })
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/close`)).status, 403)
  await t.rejects(connect(t, `ws://127.0.0.1:${port}/terminate`), { code: 'ECONNRESET' })
  await t.rejects(connect(t, `ws://127.0.0.1:${port}/terminate-sync`), { code: 'ECONNRESET' })
  t.equal(await closed((await connect(t, `ws://127.0.0.1:${port}/terminate-open`)).socket), 1006)
  await app.close()
  t.notOk(logs.some(({ level }) => level > 30))
})
