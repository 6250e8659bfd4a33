// The end of a stream that ws has: of the peer's side ('end'), and of all of it ('close'). ws listens for both; here the owner
// does, and tells ws when it has something to do:
//
// After the close frames all has ended, and Node makes an error, with its stack, for each stream that is ended again: a
// sixth of all that a connection costs (bench/handshakes.ts, opened and closed). So ws need not hear of the peer's end then,
// and hears of the whole earlier (lib/connection/farewell.ts).
//
// Without close frames ws waits for all that is still to be sent, and sets no time for it; the owner does.
import type { Duplex } from 'node:stream'

/** What has a stream, and hears of its end in the place of ws. */
export interface EndOwner {
  /** Both sides have sent a close frame. */
  readonly hasExchangedCloses: boolean
  /** The peer has ended its side without that, and ws is about to end this one, behind what waits to be sent. */
  handleHalfClose (): void
  /** The stream has closed. Returns whether ws is to be told. */
  handleStreamClose (): boolean
}

type Listener = (this: Duplex) => void

export interface EndListeners {
  readonly end: readonly unknown[]
  readonly close: readonly unknown[]
}

const kEndOwner = Symbol('fastify-websocket-route.endOwner')

declare module 'node:stream' {
  interface Duplex { [kEndOwner]?: EndOwner }
}

// ws has the same functions for all sockets.
let endOfWs: Listener[] | null = null
let closeOfWs: Listener[] = []

/** The listeners that are there before ws takes the stream; `null` once it is known which ones ws adds. */
export function listenersBefore (stream: Duplex): EndListeners | null {
  return endOfWs === null ? listenersOf(stream) : null
}

/** Has the owner hear of the end in the place of ws, which has just taken the stream. */
export function takeEnd (stream: Duplex, before: EndListeners | null, owner: EndOwner): void {
  if (before !== null) {
    const { end, close } = listenersOf(stream)
    endOfWs = end.filter((one) => !before.end.includes(one)) as Listener[]
    closeOfWs = close.filter((one) => !before.close.includes(one)) as Listener[]
  }
  for (const listener of endOfWs as Listener[]) stream.off('end', listener)
  for (const listener of closeOfWs) stream.off('close', listener)
  stream[kEndOwner] = owner
  stream.on('end', streamOnEnd)
  stream.on('close', streamOnClose)
}

/** Tells ws that the stream has closed. */
export function announceClose (stream: Duplex): void {
  for (const listener of closeOfWs) listener.call(stream)
}

function listenersOf (stream: Duplex): EndListeners {
  return { end: stream.listeners('end'), close: stream.listeners('close') }
}

function streamOnEnd (this: Duplex): void {
  const owner = this[kEndOwner] as EndOwner
  if (owner.hasExchangedCloses) return
  owner.handleHalfClose()
  for (const listener of endOfWs as Listener[]) listener.call(this)
}

function streamOnClose (this: Duplex): void {
  if ((this[kEndOwner] as EndOwner).handleStreamClose()) announceClose(this)
}
