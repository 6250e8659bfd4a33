// The end of the peer's side of a socket. ws answers it with its own, and ends its receiver; here it is told only when it has
// something to do:
//
// After the close frames both have ended, and Node makes an error, with its stack, for each stream that is ended again: a
// tenth of all that a connection costs (bench/handshakes.ts, opened and closed). So ws need not hear of that end.
//
// Without close frames ws waits for all that is still to be sent, and sets no time for it; the owner does.
import type { Duplex } from 'node:stream'

/** What has a stream, and hears of its end in the place of ws. */
export interface EndOwner {
  /** Both sides have sent a close frame. */
  readonly hasExchangedCloses: boolean
  /** The peer has ended its side without that, and ws is about to end this one, behind what waits to be sent. */
  handleHalfClose (): void
}

type Listener = (this: Duplex) => void

const kEndOwner = Symbol('fastify-websocket-route.endOwner')

declare module 'node:stream' {
  interface Duplex { [kEndOwner]?: EndOwner }
}

// ws has the same function for all sockets.
let listenersOfWs: Listener[] | null = null

/** The listeners that are there before ws takes the stream; `null` once it is known which one ws adds. */
export function listenersBefore (stream: Duplex): unknown[] | null {
  return listenersOfWs === null ? stream.listeners('end') : null
}

/** Has the owner hear of the end in the place of ws, which has just taken the stream. */
export function takeEnd (stream: Duplex, before: unknown[] | null, owner: EndOwner): void {
  if (before !== null) listenersOfWs = stream.listeners('end').filter((one) => !before.includes(one)) as Listener[]
  for (const listener of listenersOfWs as Listener[]) stream.off('end', listener)
  stream[kEndOwner] = owner
  stream.on('end', streamOnEnd)
}

function streamOnEnd (this: Duplex): void {
  const owner = this[kEndOwner] as EndOwner
  if (owner.hasExchangedCloses) return
  owner.handleHalfClose()
  for (const listener of listenersOfWs as Listener[]) listener.call(this)
}
