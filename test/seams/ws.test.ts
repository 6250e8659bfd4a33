// What is taken from ws beyond its documentation. Each test names an assumption: if one fails with a new version of ws, that is what has
// changed there.
import { EventEmitter, once } from 'node:events'
import type { WebSocketServer } from 'ws'
import t from 'tap'
import { WebSocket } from 'ws'
import { checkDirectFrames, directFrames, writesAtOnce } from '../../lib/seams/direct-frames.ts'
import { bufferedByWs, kUnsent, ServerWebSocket } from '../../lib/seams/server-websocket.ts'
import { startApp } from '../support/app.ts'

class Counted extends ServerWebSocket {
  readonly [kUnsent] = 5
}

t.test('new WebSocket(null) makes the socket of a server, in state CONNECTING', async (t) => {
  const socket = new Counted(1000)
  t.equal(socket.readyState, WebSocket.CONNECTING)
  t.ok(socket instanceof WebSocket)
})

t.test('bufferedAmount is an accessor of the prototype of ws', async (t) => {
  t.type(Object.getOwnPropertyDescriptor(WebSocket.prototype, 'bufferedAmount')?.get, 'function')
  t.equal(new Counted(1000).bufferedAmount, 5)
  t.equal(bufferedByWs(new Counted(1000)), 0)
})

t.test('EventEmitter can be called again with captureRejections', async (t) => {
  const socket = new Counted(1000)
  const error = new Error('rejected')
  socket[EventEmitter.captureRejectionSymbol] = function (this: Counted, caught: unknown) { this.emit('caught', caught) } as never
  socket.on('message', async () => { throw error })
  const caught = once(socket, 'caught')
  socket.emit('message')
  t.same(await caught, [error])
})

t.test('ws writes a frame to the stream within send()', async (t) => {
  const { port, app } = await startApp(t, (app) => { app.websocketRoute('/', { onConnection () {} }) })
  t.ok(port > 0)
  t.equal(directFrames.areUsed, true)
  checkDirectFrames({ ...app.log, warn: () => t.fail('it is known') } as never)
})

t.test('a ws that writes later is noticed', async (t) => {
  const later = {
    handleUpgrade (_request: unknown, _stream: unknown, _head: unknown, callback: (socket: unknown) => void) { callback({ send () {}, terminate () {} }) }
  }
  t.equal(writesAtOnce(later as unknown as WebSocketServer), false)
})
