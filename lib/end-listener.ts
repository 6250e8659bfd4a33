// When a peer ends its side of the socket, ws ends the socket and its own receiver. After the close frames both have ended,
// and Node makes an error, with its stack, for each stream that is ended again: a tenth of all that a connection costs
// (bench/handshakes.ts). So ws need not hear of that end.
import type { Duplex } from 'node:stream'

type Listener = () => void

// ws has the same function for all sockets.
let listener: Listener | null = null

/** The listeners that are there before ws takes the stream; `null` once it is known which one ws adds. */
export function listenersBefore (stream: Duplex): unknown[] | null {
  return listener === null ? stream.listeners('end') : null
}

/** Learns which listener ws has added to those. */
export function learnEndListener (stream: Duplex, before: unknown[] | null): void {
  if (before !== null) listener = stream.listeners('end').find((one) => !before.includes(one)) as Listener | undefined ?? null
}

/** The close frames have been exchanged: ws need not hear of the end. */
export function dropEndListener (stream: Duplex): void {
  if (listener !== null) stream.off('end', listener)
}
