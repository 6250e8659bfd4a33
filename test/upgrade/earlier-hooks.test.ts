// Hooks that were added before the plugin: a handshake may have come to its end before the plugin sees it.
import { tracingChannel } from 'node:diagnostics_channel'
import t from 'tap'
import websocket, { type WebSocketPluginOptions } from '../../index.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { connect } from '../support/client.ts'
import { watchCounts } from '../support/counts.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { handshake, RawClient } from '../support/raw.ts'

t.test('a handshake that has its end already when it gets to the plugin takes no place', async (t) => {
  const ends: Record<string, { plugin?: WebSocketPluginOptions, end: (started: { app: TestApp['app'], client: RawClient }) => unknown, stats: object }> = {
    'the client leaves': { end: ({ client }) => client.socket.resetAndDestroy(), stats: { aborted: 1 } },
    'the time is over': { plugin: { handshakeTimeout: 20 }, end () {}, stats: { refused: { 503: 1 } } },
    'the server closes': { end ({ app }) { void app.close() }, stats: { refused: { 503: 1 } } },
    'the server drains': { end ({ app }) { void app.websockets.drain() }, stats: { refused: { 503: 1 } } }
  }
  for (const [name, { plugin, end, stats }] of Object.entries(ends)) {
    await t.test(name, async (t) => {
      const counts = watchCounts(t)
      const traced: unknown[] = []
      const listener = { start (trace: object) { traced.push(trace) } }
      tracingChannel<object>('fastify-websocket-route.handshake').subscribe(listener as never)
      t.teardown(() => tracingChannel<object>('fastify-websocket-route.handshake').unsubscribe(listener as never))
      const reached = deferred()
      const release = deferred()
      const sent = deferred<number>()
      let runs = 0
      const { app, port } = await startApp(t, async (app) => {
        app.addHook('onRequest', async () => { reached.resolve(); await release.promise })
        app.addHook('onResponse', async (_request, { statusCode }) => { sent.resolve(statusCode) })
        app.addHook('onSend', async (_request, { statusCode }) => { if (statusCode === 499) sent.resolve(statusCode) })
        await app.register(websocket, { maxConnections: 1, ...plugin })
        app.addHook('onRequest', async () => { runs++ })
        app.websocketRoute('/', { onHandshake () { t.fail('ran') } })
      }, { withoutPlugin: true })
      const client = await RawClient.connect(t, port)
      client.socket.on('end', () => client.socket.end())
      client.write(handshake('/'))
      await reached.promise
      end({ app, client })
      await client.untilEnd()
      await eventually(() => app.websockets.stats.pending === 0)
      release.resolve()
      t.equal(await sent.promise, name === 'the client leaves' ? 499 : 503)
      t.match(app.websockets.stats, { pending: 0, ...stats })
      await app.close()
      t.same([runs, counts(), traced], [0, [], []], 'nothing was begun that would have to end')
    })
  }
})

t.test('1000 clients that leave during a hook before the plugin do not lock others out', async (t) => {
  const release = deferred()
  let waiting = 0
  const { app, port } = await startApp(t, async (app) => {
    app.addHook('onRequest', async () => { waiting++; await release.promise })
    await app.register(websocket)
    app.websocketRoute('/', { onConnection () {} })
  }, { withoutPlugin: true, server: { logger: false } })
  for (let i = 0; i < 1000; i++) {
    const client = await RawClient.connect(t, port)
    client.write(handshake('/'))
    await eventually(() => waiting === i + 1)
    client.socket.destroy()
  }
  await eventually(() => app.websockets.stats.aborted === 1000)
  release.resolve()
  await connect(t, `ws://127.0.0.1:${port}/`)
})
