// How a Connection is made, opened and read. What it rests on in ws and Node, each looked at by test/seams/ws.test.ts:
//
// - `new WebSocket(null, undefined, options)` is the socket of a server, in state CONNECTING, and ws opens what `new` of the class in its
//   documented option `WebSocket` has made, which need not be a new one (ws/lib/websocket-server.js, completeUpgrade). Without both there
//   is nothing to open: handshakes get 503.
// - `bufferedAmount` is an accessor of the prototype (ws/lib/websocket.js). Without it no frame is held back, and ws's number is right.
// - So are `onmessage` and the other three (there too). Without them each gives the listener that ws was given in place of the user's.
// - EventEmitter may be called on what it has made already, with other options (node/lib/events.js, EventEmitter.init).
import { EventEmitter } from 'node:events'
import { WebSocket, WebSocketServer } from 'ws'
import { directFrames, openInMemory } from './direct-frames.ts'

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

/** For the option `WebSocket` of a server: it opens what this returns. */
export function existing (take: () => WebSocket): typeof WebSocket {
  // `new` of a function that returns an object is that object.
  return function () { return take() } as unknown as typeof WebSocket
}

let isTrue: boolean | undefined

/** Whether ws opens a socket that is there already, which is tried once. */
export function canOpenSockets (): boolean {
  isTrue ??= tryOut()
  return isTrue
}

class Sample extends ServerWebSocket {
  readonly [kUnsent] = 0
}

function tryOut (): boolean {
  try {
    const socket = new Sample(1)
    const states = [socket.readyState]
    openInMemory(new WebSocketServer({ noServer: true, clientTracking: false, WebSocket: existing(() => socket) }), [], (opened) => {
      if (opened === socket) states.push(opened.readyState)
    })
    return states[0] === WebSocket.CONNECTING && states[1] === WebSocket.OPEN
  } catch {
    return false
  }
}

type Getter<Value> = (this: object) => Value

/** Has `ours` change what an accessor of `theirs` gives. Returns the getter of that; `undefined` if there is none. */
export function wrapGetter<Value> (
  ours: object, theirs: object, name: string, change: (value: Value, socket: ServerWebSocket) => unknown
): Getter<Value> | undefined {
  const accessor = Object.getOwnPropertyDescriptor(theirs, name)
  const get: Getter<Value> | undefined = accessor?.get
  if (get !== undefined) Object.defineProperty(ours, name, { ...accessor, get (this: ServerWebSocket) { return change(get.call(this), this) } })
  return get
}

/** Has sockets count what ws does not know of, if ws has the number on its prototype. Returns how to read the number of ws. */
export function countUnsent (ours: object, theirs: object): (connection: WebSocket) => number {
  // ws has no number for a socket of a server that is not open yet.
  const get = wrapGetter<number | undefined>(ours, theirs, 'bufferedAmount', (buffered, connection) => (buffered ?? 0) + connection[kUnsent])
  if (get !== undefined) return (connection) => get.call(connection) ?? 0
  directFrames.areUsed = false
  return ({ bufferedAmount }) => bufferedAmount
}

/** What ws and the stream below it have been given and the peer has not taken, in bytes. */
export const bufferedByWs: (connection: WebSocket) => number = countUnsent(ServerWebSocket.prototype, WebSocket.prototype)
