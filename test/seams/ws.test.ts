// What is taken from ws beyond its documentation. Each test names an assumption: if one fails with a new version of ws, that is what has
// changed there.
import { EventEmitter, once } from 'node:events'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { checkDirectFrames, directFrames } from '../../lib/seams/direct-frames.ts'
import { bufferedByWs, canOpenSockets, countUnsent, existing, kUnsent, ServerWebSocket, wrapGetter } from '../../lib/seams/server-websocket.ts'

class Counted extends ServerWebSocket {
  readonly [kUnsent] = 5
}

t.test('new WebSocket(null) makes the socket of a server, in state CONNECTING', async (t) => {
  const socket = new Counted(1000)
  t.equal(socket.readyState, WebSocket.CONNECTING)
  t.ok(socket instanceof WebSocket)
})

t.test('ws opens what `new` of its option WebSocket gives, also a socket that is there already', async (t) => {
  const socket = new Counted(1000)
  t.equal(new (existing(() => socket))(''), socket)
  t.equal(canOpenSockets(), true)
})

t.test('it is found out when ws does not open it, or opens another', async (t) => {
  const { prototype } = WebSocketServer
  const { handleUpgrade } = prototype
  t.teardown(() => { prototype.handleUpgrade = handleUpgrade })
  const changes: Array<typeof handleUpgrade> = [
    () => { throw new Error('gone') },
    () => {},
    (_request, _stream, _head, open) => open(new Counted(1000), _request)
  ]
  for (const change of changes) {
    prototype.handleUpgrade = change
    const fresh = await t.mockImport<typeof import('../../lib/seams/server-websocket.ts')>('../../lib/seams/server-websocket.ts', {})
    t.equal(fresh.canOpenSockets(), false)
    prototype.handleUpgrade = handleUpgrade
    t.equal(fresh.canOpenSockets(), false, 'it is tried once')
  }
})

t.test('onmessage and its like are accessors of the prototype of ws', async (t) => {
  for (const name of ['onopen', 'onmessage', 'onerror', 'onclose'] as const) {
    const socket = new Counted(1000)
    const listener = (): void => {}
    socket[name] = listener
    t.equal(wrapGetter({}, WebSocket.prototype, name, (value) => value)?.call(socket), listener, name)
  }
  t.equal(wrapGetter({}, {}, 'onmessage', (value) => value), undefined, 'where they are not, nothing is wrapped')
})

t.test('bufferedAmount is an accessor of the prototype of ws', async (t) => {
  t.type(Object.getOwnPropertyDescriptor(WebSocket.prototype, 'bufferedAmount')?.get, 'function')
  t.equal(new Counted(1000).bufferedAmount, 5)
  t.equal(bufferedByWs(new Counted(1000)), 0)
  t.teardown(() => { directFrames.areUsed = true })
  const ours = {}
  t.equal(countUnsent(ours, {})({ bufferedAmount: 7 } as WebSocket), 7, 'where it is not, the number of ws is right')
  t.same([directFrames.areUsed, Object.keys(ours)], [false, []])
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
  const warnings: string[] = []
  const log = { warn: (message: string) => { warnings.push(message) } } as unknown as Parameters<typeof checkDirectFrames>[0]
  checkDirectFrames(log, new WebSocketServer({ noServer: true }))
  t.same([directFrames.areUsed, warnings], [true, []])
  t.teardown(() => { directFrames.areUsed = true })
  const later = { handleUpgrade (_request: unknown, _stream: unknown, _head: unknown, open: (socket: object) => void) { open({ send () {}, terminate () {} }) } }
  checkDirectFrames(log, later as unknown as WebSocketServer)
  t.equal(directFrames.areUsed, false)
  t.match(warnings, [/its send\(\)/])
})
