// A client that leaves before its handshake is answered, at every place where the handshake can wait.
import { once } from 'node:events'
import type { FastifyInstance, FastifyRequest, RouteShorthandOptions } from 'fastify'
import t, { type Test } from 'tap'
import { Connections } from '../../lib/server/connections.ts'
import { startApp } from '../support/app.ts'
import { deferred, type Deferred } from '../support/deferred.ts'
import { handshake, RawClient } from '../support/raw.ts'

const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend'] as const
const PLACES = [...HOOKS, 'onHandshake'] as const
const OUTCOMES = ['accept', 'accept and close', 'reject', 'nothing', 'throw'] as const

const WAYS: Record<string, (client: RawClient) => void> = {
  'resets the connection': (client) => client.socket.resetAndDestroy(),
  'half-closes': (client) => client.socket.end(),
  'half-closes after a frame': (client) => client.socket.end(Buffer.from([0x81, 0x80, 0, 0, 0, 0])),
  closes: (client) => client.socket.destroy()
}

interface Wait {
  reached: Deferred
  release: Deferred
  signalAborted: Deferred
  requestAborted: Deferred
  finished: Deferred
}

function newWait (): Wait {
  return { reached: deferred(), release: deferred(), signalAborted: deferred(), requestAborted: deferred(), finished: deferred() }
}

function declare (t: Test, app: FastifyInstance, place: typeof PLACES[number], outcome: typeof OUTCOMES[number], wait: Wait): void {
  const here = async (candidate: string): Promise<void> => {
    if (candidate !== place) return
    wait.reached.resolve()
    await wait.release.promise
  }
  const hooks: RouteShorthandOptions = Object.fromEntries(HOOKS.map((name) => [name, async () => { await here(name) }]))
  app.addHook('onRequest', async (request) => { request.signal.addEventListener('abort', () => wait.signalAborted.resolve()) })
  app.websocketRoute('/', {
    ...hooks as object,
    onRequestAbort: async (_request) => { wait.requestAborted.resolve() },
    async onHandshake (conn) {
      await here('onHandshake')
      try {
        if (outcome.startsWith('accept')) t.doesNotThrow(() => conn.acceptWith({ headers: { 'x-a': 'b' } }), 'a no-op')
        if (outcome === 'accept and close') t.doesNotThrow(() => conn.close(4000), 'a no-op')
        if (outcome === 'reject') t.doesNotThrow(() => conn.reject({ code: 401, body: { no: 1 } }), 'a no-op')
        if (outcome === 'throw') throw new Error('after the client left')
      } finally {
        wait.finished.resolve()
      }
    },
    onConnection () { t.fail('opened') }
  })
}

async function endsEmpty (t: Test, app: FastifyInstance): Promise<void> {
  const { pending, open } = Connections.of(app)
  await pending.whenEmpty()
  t.equal(open.size, 0)
  await app.close()
}

/** What comes after a place matters, and what has been said before it. */
function outcomesAt (place: typeof PLACES[number]): ReadonlyArray<typeof OUTCOMES[number]> {
  if (place === 'onHandshake') return OUTCOMES
  if (place === 'preSerialization') return ['reject']
  return place === 'onSend' ? ['accept', 'accept and close', 'reject'] : ['accept', 'reject']
}

for (const place of PLACES) {
  for (const outcome of outcomesAt(place)) {
    t.test(`the server closes in ${place}, with the outcome ${outcome}`, async (t) => {
      const wait = newWait()
      const { app, port, logs } = await startApp(t, (app) => declare(t, app, place, outcome, wait))
      const client = await RawClient.connect(t, port)
      client.write(handshake('/'))
      client.socket.on('end', () => client.socket.end())
      await wait.reached.promise
      const isClosed = app.close()
      t.match((await client.wholeResponse()), { status: 503 })
      wait.release.resolve()
      if (place === 'onHandshake') await wait.finished.promise
      await isClosed
      await endsEmpty(t, app)
      t.same(logs.filter(({ level }) => level > 30), [], 'nothing is logged as an error of the app')
    })

    t.test(`in ${place}, with the outcome ${outcome}`, async (t) => {
      for (const [name, leave] of Object.entries(WAYS)) {
        await t.test(name, async (t) => {
          const wait = newWait()
          const { app, port, logs } = await startApp(t, (app) => declare(t, app, place, outcome, wait))
          const client = await RawClient.connect(t, port)
          client.write(handshake('/'))
          await wait.reached.promise
          leave(client)
          await wait.signalAborted.promise
          await wait.requestAborted.promise
          wait.release.resolve()
          if (place === 'onHandshake') await wait.finished.promise
          await endsEmpty(t, app)
          t.equal(client.received.length, 0, 'not a byte was written')
          t.same(logs.filter(({ level }) => level > 30), [], 'nothing is logged as an error of the app')
        })
      }
    })
  }
}

t.test('a server that destroys the request or its socket in a hook', async (t) => {
  const later = async (): Promise<void> => { await new Promise((resolve) => setImmediate(resolve)) }
  const destroyers: Record<string, (request: FastifyRequest) => void> = {
    request: (request) => { request.raw.destroy() },
    socket: (request) => { request.socket.destroy() }
  }
  for (const destroy of Object.values(destroyers)) {
    const hooks: Array<NonNullable<RouteShorthandOptions['onRequest']>> = [
      (request, _reply, done) => { destroy(request); done() },
      async (request) => { destroy(request); await later() },
      async (request) => { await later(); destroy(request) }
    ]
    for (const onRequest of hooks) {
      const requestAborted = deferred()
      const { app, port } = await startApp(t, (app) => {
        app.websocketRoute('/', { onRequest, onRequestAbort: async (_request) => { requestAborted.resolve() }, onConnection () { t.fail('opened') } })
      })
      const client = await RawClient.connect(t, port)
      client.write(handshake('/'))
      await client.untilEnd()
      await requestAborted.promise
      t.equal(client.received.length, 0)
      await endsEmpty(t, app)
    }
  }
})

t.test('a connection that is terminated twice in its handshake', async (t) => {
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onHandshake (conn) { conn.terminate(); conn.terminate(); conn.acceptWith() }, onConnection () { t.fail('opened') } })
  })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/'))
  await client.untilEnd()
  await endsEmpty(t, app)
})

t.test('a client that resets while a refusal is being sent to it', async (t) => {
  const cancelled = deferred<unknown>()
  const { app, port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      async onHandshake (conn) {
        await null
        const body = new ReadableStream({
          pull (controller) { controller.enqueue(Buffer.alloc(65_536)) },
          cancel (reason) { cancelled.resolve(reason) }
        })
        conn.reject({ body })
      }
    })
  })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/'))
  await client.head()
  client.socket.resetAndDestroy()
  await cancelled.promise
  await endsEmpty(t, app)
  t.same(logs.filter(({ level }) => level > 30), [])
})

t.test('a client that half-closes while it reads a refusal gets all of it', async (t) => {
  const body = Buffer.alloc(16 * 1024 * 1024, 'x')
  const ended = deferred()
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      async onHandshake (conn, request) {
        request.socket.once('end', () => ended.resolve())
        await null
        conn.reject({ body })
      }
    })
  })
  const client = await RawClient.connect(t, port)
  client.socket.pause()
  client.socket.end(handshake('/'))
  await ended.promise
  client.socket.resume()
  t.equal((await client.wholeResponse()).rest.length, body.length)
  await endsEmpty(t, app)
})

t.test('a client that leaves in the same packet', async (t) => {
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/sync', { onConnection () {} })
    app.websocketRoute('/async', { async onHandshake () { await new Promise((resolve) => setImmediate(resolve)) }, onConnection () {} })
  })
  for (const path of ['/sync', '/async']) {
    const client = await RawClient.connect(t, port)
    client.socket.end(handshake(path))
    await client.untilEnd()
  }
  await endsEmpty(t, app)
})

t.test('1000 handshakes that are opened and dropped half-way leave nothing', async (t) => {
  const seen = { waiting: 0, aborted: 0 }
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onRequestAbort: async (_request) => { seen.aborted++ },
      onHandshake () {
        seen.waiting++
        return new Promise<void>(() => {})
      }
    })
  }, { server: { logger: false } })
  const count = (): Record<string, number> => {
    const counts: Record<string, number> = {}
    for (const type of process.getActiveResourcesInfo()) counts[type] = (counts[type] ?? 0) + 1
    return { Timeout: counts.Timeout ?? 0, TCPSocketWrap: counts.TCPSocketWrap ?? 0 }
  }
  const listeners = (): unknown[] => app.server.eventNames().map((name) => [name, app.server.listenerCount(name)])
  const before = { listeners: listeners(), counts: count() }
  for (let round = 0; round < 10; round++) {
    const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.connect(t, port)))
    for (const client of clients) client.write(handshake('/'))
    while (seen.waiting < (round + 1) * 100) await new Promise((resolve) => setImmediate(resolve))
    for (const [i, client] of clients.entries()) Object.values(WAYS)[i % 4]?.(client)
    while (seen.aborted < (round + 1) * 100) await new Promise((resolve) => setImmediate(resolve))
    for (const client of clients) client.socket.destroy()
    await Promise.all(clients.map(({ socket }) => socket.closed ? undefined : once(socket, 'close')))
  }
  const { pending, open } = Connections.of(app)
  await pending.whenEmpty()
  t.same(listeners(), before.listeners)
  const after = count()
  for (const [type, number] of Object.entries(before.counts)) t.ok(after[type] as number <= number, `${type}: ${after[type]} of ${number}`)
  t.same([pending.size, open.size], [0, 0])
})
