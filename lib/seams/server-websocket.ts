// How a Connection is made, and counted. What it rests on in ws and Node, each looked at by test/seams/ws.test.ts:
//
// - `new WebSocket(null, undefined, options)` is the socket of a server, in state CONNECTING: so ws makes those of the class in its
//   documented option `WebSocket` (ws/lib/websocket-server.js, completeUpgrade). Without it none can be made, and registration fails.
// - `bufferedAmount` is an accessor of the prototype (ws/lib/websocket.js). Without it no frame is held back, and ws's number is right.
// - EventEmitter may be called on what it has made already, with other options (node/lib/events.js, EventEmitter.init).
import { EventEmitter } from 'node:events'
import { WebSocket } from 'ws'
import { directFrames } from './direct-frames.ts'

export const kUnsent = Symbol('fastify-websocket-route.unsent')

const getBuffered = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'bufferedAmount')?.get

export abstract class ServerWebSocket extends WebSocket {
  /** Bytes that ws has not been given yet. @internal */
  abstract readonly [kUnsent]: number

  constructor (closeTimeout: number) {
    // @types/ws knows the address `null`, not the rest.
    super(null as unknown as string, undefined, { autoPong: false, closeTimeout } as object)
    // What an async listener rejects with is an error of the connection too.
    EventEmitter.call(this as EventEmitter, { captureRejections: true })
  }
}

/** What ws and the stream below it have been given and the peer has not taken, in bytes. */
export function bufferedByWs (connection: WebSocket): number {
  // ws has no number for a socket of a server that is not open yet.
  return getBuffered?.call(connection) || 0
}

// To the types it is a property, in whose place no class may have an accessor.
if (getBuffered === undefined) directFrames.areUsed = false
else {
  Object.defineProperty(ServerWebSocket.prototype, 'bufferedAmount', {
    configurable: true,
    enumerable: true,
    get (this: ServerWebSocket) { return bufferedByWs(this) + this[kUnsent] }
  })
}
