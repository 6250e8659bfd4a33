// ws ends a stream when the close frames are exchanged, and once more when the peer has ended it (ws/lib/websocket.js, socketOnEnd).
// Node makes an error with its stack of the second time, which nobody sees: a twentieth of all that a connection costs
// (bench/handshakes.ts, opened and closed). Where ws does so no more, this does nothing; docs/upstream/ has the change for ws.
import type { Duplex } from 'node:stream'

/** From now on it does nothing to end a stream again. One whose end() somebody has replaced stays as it is. */
export function endOnce (stream: Duplex): void {
  if (!Object.hasOwn(stream, 'end')) stream.end = end as Duplex['end']
}

function end (this: Duplex, ...args: unknown[]): Duplex {
  if (this.writableEnded && args.length === 0) return this
  return Reflect.apply((Object.getPrototypeOf(this) as Duplex).end, this, args)
}
