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

/** Has sockets count what ws does not know of, if ws has the number on its prototype. Returns how to read the number of ws. */
export function countUnsent (ours: object, theirs: object): (connection: WebSocket) => number {
  const get = Object.getOwnPropertyDescriptor(theirs, 'bufferedAmount')?.get
  if (get === undefined) {
    directFrames.areUsed = false
    return readBuffered
  }
  // ws has no number for a socket of a server that is not open yet.
  const read = (connection: WebSocket): number => get.call(connection) || 0
  // To the types it is a property, in whose place no class may have an accessor.
  Object.defineProperty(ours, 'bufferedAmount', {
    configurable: true,
    enumerable: true,
    get (this: ServerWebSocket) { return read(this) + this[kUnsent] }
  })
  return read
}

function readBuffered ({ bufferedAmount }: WebSocket): number {
  return bufferedAmount
}

/** What ws and the stream below it have been given and the peer has not taken, in bytes. */
export const bufferedByWs: (connection: WebSocket) => number = countUnsent(ServerWebSocket.prototype, WebSocket.prototype)
