// Fake timers, as Jest, vitest and sinon have them (all by @sinonjs/fake-timers), and those of node:test: while they are installed
// nothing of a WebSocket stops, and nothing is stuck when they are removed.
import { once } from 'node:events'
import { mock } from 'node:test'
import * as fakeTimers from '@sinonjs/fake-timers'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { WebSocket } from 'ws'
import { startApp } from '../support/app.ts'
import { closed, connect, connectRefused, nextMessage } from '../support/client.ts'

t.capture(process, 'emitWarning') // Node.js 20 warns of those of node:test.

/** Installs fake timers; returns what removes them. Sinon and vitest leave nextTick and queueMicrotask alone, without which Node does nothing. */
const kinds: Record<string, () => () => void> = {
  sinon () {
    const clock = fakeTimers.install({ toNotFake: ['nextTick', 'queueMicrotask'] })
    return () => clock.uninstall()
  },
  'node:test' () {
    mock.timers.enable()
    return () => mock.timers.reset()
  }
}

const SUBSCRIBERS = 300 // more than one turn of the event loop sends to

async function start (t: Test): Promise<{ app: FastifyInstance, port: number }> {
  return await startApp(t, (app) => {
    app.websocketRoute('/echo', { async onMessage (conn, message) { await null; conn.sendMessage(message) } })
    app.websocketRoute('/async', { async onHandshake () { await new Promise((resolve) => process.nextTick(resolve)) }, onConnection (conn) { conn.send('open') } })
    app.websocketRoute('/reject', { onHandshake (conn) { conn.reject({ code: 401 }) } })
    app.websocketRoute('/topic', { onConnection (conn) { conn.subscribe('all') } })
    app.websocketRoute('/large', { onConnection (conn) { conn.send(Buffer.alloc(3_000_000)) } })
    app.get('/slow', async (_request, reply) => { await new Promise((resolve) => process.nextTick(resolve)); return await reply.send('slow') })
  }, { plugin: { heartbeat: 60_000, perMessageDeflate: { threshold: 1_000 } } })
}

async function receive (socket: WebSocket, count: number): Promise<string[]> {
  const messages: string[] = []
  return await new Promise((resolve) => {
    socket.on('message', (data) => { if (messages.push(String(data)) === count) resolve(messages) })
  })
}

async function checkAll (t: Test, { app, port }: { app: FastifyInstance, port: number }): Promise<void> {
  const url = `ws://127.0.0.1:${port}`
  const { socket } = await connect(t, `${url}/echo`)
  const echoed = receive(socket, 1000)
  for (let i = 0; i < 1000; i++) socket.send(i % 100 === 0 ? String(i).padEnd(20_000) : String(i))
  t.equal((await echoed).length, 1000, 'messages both ways')
  socket.close(4000)
  t.equal(await closed(socket), 4000)

  const opening = await connect(t, `${url}/large`)
  t.equal((await nextMessage(opening.socket)).length, 3_000_000)
  opening.socket.terminate()
  t.equal((await connect(t, `${url}/async`)).status, 101, 'an asynchronous handshake')
  t.equal((await connectRefused(t, `${url}/reject`)).status, 401)

  const clients = await Promise.all(Array.from({ length: SUBSCRIBERS }, async () => await app.injectWebSocket('/topic')))
  const received = clients.map(async (client) => (await client.messages().next()).value)
  app.websockets.publish('all', 'x'.repeat(2_000))
  t.same(new Set(await Promise.all(received)), new Set(['x'.repeat(2_000)]), 'publish() to many')
  await t.rejects(app.injectWebSocket('/reject'), { code: 'FST_ERR_WS_REFUSED' })
  for (const client of clients) client.close()
  await Promise.all(clients.map(async (client) => await once(client, 'close')))
}

for (const [name, install] of Object.entries(kinds)) {
  for (const when of ['before', 'after']) {
    t.test(`${name}, installed ${when} the app starts`, async (t) => {
      let remove = when === 'before' ? install() : () => {}
      const started = await start(t)
      if (when === 'after') remove = install()
      const { socket } = await connect(t, `ws://127.0.0.1:${started.port}/echo`)
      try {
        await checkAll(t, started)
        if (when === 'before') {
          const code = closed(socket)
          await started.app.close()
          t.equal(await code, 1001, 'app.close()')
        }
      } finally {
        remove()
      }
      if (when === 'before') return
      await checkAll(t, started)
      socket.send('hello')
      t.equal(await nextMessage(socket), 'hello')
    })
  }
}

t.test('injectWebSocket() does not ask an instance that is ready for it: where Jest fakes process.nextTick(), ready() hangs', async (t) => {
  const { app } = await start(t)
  const { ready } = app
  app.ready = (() => new Promise(() => {})) as unknown as typeof app.ready
  const client = await app.injectWebSocket('/async')
  t.equal((await client.messages().next()).value, 'open')
  app.ready = ready
})
