// The order in which Fastify closes: its preClose hooks, server.close(), its onClose hooks.
import { createServer, type Server } from 'node:http'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import websocket from '../../index.ts'
import { startApp } from '../support/app.ts'
import { closed, connect } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { handshake, RawClient } from '../support/raw.ts'

const turn = async (): Promise<void> => { await new Promise((resolve) => setImmediate(resolve)) }

/** Adds a hook that says goodbye, and notes how many connections it has found. */
function sayGoodbye (app: FastifyInstance, name: string, runs: string[], findAll: () => FastifyInstance['websockets']): void {
  app.addHook('preClose', async () => {
    await turn()
    const websockets = findAll()
    websockets.broadcast(`goodbye from ${name}`)
    await turn()
    runs.push(`${name}: ${[...websockets].filter(({ readyState }) => readyState === 1).length}`)
  })
}

t.test('all preClose hooks run while connections are open, wherever they were added', async (t) => {
  const runs: string[] = []
  const { app, port } = await startApp(t, async (app) => {
    const findAll = (): FastifyInstance['websockets'] => app.websockets
    sayGoodbye(app, 'before', runs, findAll)
    await app.register(async (child) => { sayGoodbye(child, 'child before', runs, findAll) })
    await app.register(websocket)
    sayGoodbye(app, 'after', runs, findAll)
    app.addHook('preClose', (done) => { runs.push('with a callback'); setImmediate(done) })
    app.register(async (child) => {
      child.register(async (grandchild) => { sayGoodbye(grandchild, 'grandchild', runs, findAll) })
      sayGoodbye(child, 'child', runs, findAll)
    })
    app.register(async (child) => { sayGoodbye(child, 'last child', runs, findAll) })
    app.addHook('onClose', async () => { runs.push(`onClose: ${app.websockets.size}`) })
    app.websocketRoute('/', { onConnection () {}, async onClose () { await turn(); runs.push('onClose of a connection') } })
  }, { withoutPlugin: true })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  const heard: string[] = []
  socket.on('message', (data) => heard.push(String(data)))
  const code = closed(socket)
  await app.close()
  t.equal(await code, 1001)
  const names = ['before', 'after', 'child before', 'child', 'grandchild', 'last child']
  // Fastify 5.11 calls those of a parent again for each child.
  t.same([...new Set(runs)], [
    'before: 1', 'after: 1', 'with a callback', 'child before: 1', 'child: 1', 'grandchild: 1', 'last child: 1',
    'onClose of a connection', 'onClose: 0'
  ])
  t.same([...new Set(heard)], names.map((name) => `goodbye from ${name}`))
  t.notOk(Object.hasOwn(app.server, 'close'), 'the server has its own close() again')
})

t.test('new handshakes are refused from the first moment on', async (t) => {
  const reached = deferred()
  const release = deferred()
  const { app, port } = await startApp(t, async (app) => {
    app.addHook('preClose', async () => { reached.resolve(); await release.promise })
    await app.register(websocket)
    app.websocketRoute('/', { onConnection () {} })
  }, { withoutPlugin: true, server: { return503OnClosing: false } })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  const code = closed(socket)
  const isClosed = app.close()
  await reached.promise
  const late = await RawClient.connect(t, port)
  late.socket.on('end', () => late.socket.end())
  late.write(handshake('/'))
  t.match(await late.wholeResponse(), { status: 503, body: /FST_ERR_WS_CLOSING/ })
  t.equal(app.websockets.size, 1)
  release.resolve()
  await isClosed
  t.equal(await code, 1001)
})

t.test('connections are closed when a preClose hook has failed, before or after that of the plugin', async (t) => {
  for (const isFirst of [true, false]) {
    const { app, port } = await startApp(t, async (app) => {
      const fail = async (): Promise<void> => { throw new Error('no goodbye') }
      if (isFirst) app.addHook('preClose', fail)
      await app.register(websocket)
      if (!isFirst) app.addHook('preClose', fail)
      app.websocketRoute('/', { onConnection () {} })
    }, { withoutPlugin: true })
    const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
    const code = closed(socket)
    await t.rejects(app.close(), { message: 'no goodbye' })
    t.equal(await code, 1001)
  }
})

t.test('connections without a port are closed, also where Fastify does not close the server', async (t) => {
  const { default: Fastify } = await import('fastify')
  for (const hasFactory of [false, true]) {
    const app = Fastify(hasFactory ? { serverFactory: (handler) => createServer(handler) } : {})
    const found: number[] = []
    await app.register(websocket)
    app.websocketRoute('/', { onConnection () {} })
    app.addHook('preClose', async () => { found.push(app.websockets.size) })
    const client = await app.injectWebSocket('/')
    const code = closed(client as never)
    await app.close()
    t.equal(await code, 1001)
    t.same([found, app.websockets.size], [[1], 0])
    t.notOk(Object.hasOwn(app.server, 'close'))
  }
})

t.test('a close() of the own of a server is there again when it is called', async (t) => {
  let server: Server | undefined
  let calls = 0
  const { app, port } = await startApp(t, (app) => { app.websocketRoute('/', { onConnection () {} }) }, {
    server: {
      serverFactory (handler) {
        server = createServer(handler)
        const { close } = server
        server.close = (callback) => { calls++; return Reflect.apply(close, server, [callback]) as Server }
        return server
      }
    }
  })
  const own = server?.close
  const code = closed((await connect(t, `ws://127.0.0.1:${port}/`)).socket)
  await app.close()
  t.equal(await code, 1001)
  t.equal(calls, 1)
  t.equal(server?.close, own)
})

t.test('somebody else may replace close() too, and leave it so', async (t) => {
  let calls = 0
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onConnection () {} })
    app.addHook('preClose', async () => {
      const { close } = app.server
      app.server.close = (callback) => { calls++; return Reflect.apply(close, app.server, [callback]) as Server }
    })
  })
  const code = closed((await connect(t, `ws://127.0.0.1:${port}/`)).socket)
  await app.close()
  t.same([await code, calls], [1001, 1])
})

t.test('where close() cannot be replaced, connections are closed by a preClose hook, and a warning says so', async (t) => {
  const found: number[] = []
  const { app, port, logs } = await startApp(t, (app) => {
    app.addHook('preClose', async () => { found.push(app.websockets.size) })
    app.websocketRoute('/', { onConnection () {} })
  })
  Object.defineProperty(app.server, 'close', { value: app.server.close, writable: false })
  const code = closed((await connect(t, `ws://127.0.0.1:${port}/`)).socket)
  await app.close()
  t.equal(await code, 1001)
  t.same(found, [0])
  t.equal(logs.filter(({ level, msg }) => level === 40 && msg.startsWith('server.close() cannot be replaced')).length, 1)
})

t.test('where Fastify takes no hook any more when it is ready, all preClose hooks run while connections are open all the same', async (t) => {
  const found: number[] = []
  const { app, port } = await startApp(t, async (app) => {
    app.addHook('onReady', async () => { app.addHook = () => { throw new Error('too late') } })
    await app.register(websocket)
    app.addHook('preClose', async () => { found.push(app.websockets.size) })
    app.websocketRoute('/', { onConnection () {} })
  }, { withoutPlugin: true })
  const code = closed((await connect(t, `ws://127.0.0.1:${port}/`)).socket)
  await app.close()
  t.equal(await code, 1001)
  t.same(found, [1])
})

t.test('a server that is closed by hand keeps its connections', async (t) => {
  const { app, port } = await startApp(t, (app) => { app.websocketRoute('/', { onMessage (conn, message) { conn.sendMessage(message) } }) })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  app.server.close()
  socket.send('hello')
  await new Promise((resolve) => socket.once('message', resolve))
  const code = closed(socket)
  await app.close()
  t.equal(await code, 1001)
})
