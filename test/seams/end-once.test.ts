// What ws is given to open a connection on.
import { once } from 'node:events'
import { Socket } from 'node:net'
import t from 'tap'
import { startApp } from '../support/app.ts'
import { closed, connect } from '../support/client.ts'

type End = (...args: unknown[]) => Socket

const ended = (socket: Socket): Promise<unknown> => new Promise((resolve) => socket.end((error?: unknown) => resolve(error)))

t.test('a socket is ended once, and who asks whether it has ended is told', async (t) => {
  const sockets: Socket[] = []
  const { app, port } = await startApp(t, (app) => { app.websocketRoute('/', { onConnection () {} }) })
  app.server.on('connection', (socket) => sockets.push(socket))
  const { socket: client } = await connect(t, `ws://127.0.0.1:${port}/`)
  const [socket] = sockets as [Socket]
  let calls = 0
  const prototype = Socket.prototype as { end: End }
  const { end } = prototype
  prototype.end = function (this: Socket, ...args) {
    if (this === socket) calls++
    return Reflect.apply(end, this, args) as Socket
  }
  t.teardown(() => { prototype.end = end })
  const isClosed = once(socket, 'close')
  client.close()
  await isClosed
  t.equal(calls, 1)
  t.match(await ended(socket), { code: 'ERR_STREAM_ALREADY_FINISHED' })
})

t.test('an end() of its own is left to a socket', async (t) => {
  const { app, port } = await startApp(t, (app) => { app.websocketRoute('/', { onConnection () {} }) })
  let calls = 0
  app.server.on('connection', (socket: { end: End }) => {
    const { end } = socket
    socket.end = (...args) => { calls++; return Reflect.apply(end, socket, args) as Socket }
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  const isClosed = closed(socket)
  socket.close(1000)
  t.equal(await isClosed, 1000)
  t.ok(calls > 0)
})
