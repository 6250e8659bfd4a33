// Between the close frames and the end of the socket.
//
// ws waits for the socket to close, ends its receiver then, and emits 'close' when that has finished. But the receiver has
// ended with the close frame, and Node makes an error, with its stack, of a stream that is ended once it has finished: a
// tenth of all that a connection costs (bench/handshakes.ts, opened and closed). So ws is told before it has finished, and
// the 'close' that it emits waits here for the socket:
//
//   close frames ──→ announced ──→ ws emits 'close' ─┐
//                                  the socket closes ┴──→ 'close'
import type { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import { announceClose } from './stream-end.ts'
import { clearTimeout, nextTick, setTimeout } from '../timers.ts'

export class Farewell {
  readonly #connection: EventEmitter
  readonly #stream: Duplex
  #timer: NodeJS.Timeout | null = null // from the announcement to the end
  #event: readonly unknown[] | null = null

  constructor (connection: EventEmitter, stream: Duplex) {
    this.#connection = connection
    this.#stream = stream
  }

  /** Whether ws has emitted 'close', and the socket has not closed. */
  get isHolding (): boolean {
    return this.#event !== null
  }

  /**
   * Tells ws, once it has dealt with the close frame. A peer that does not end the socket within so many milliseconds from then
   * on has it destroyed, as ws would have done.
   */
  announceSoon (timeout: number): void {
    nextTick(announce, this, timeout)
  }

  /** @internal */
  announce (timeout: number): void {
    if (this.#stream.destroyed) return
    this.#timer = setTimeout(destroy, timeout, this.#stream)
    announceClose(this.#stream)
  }

  /** What ws emits as 'close'. Returns whether it is held. */
  hold (event: readonly unknown[]): boolean {
    if (this.#timer === null) return false
    this.#event = event
    return true
  }

  /** Destroys the socket, if ws has done with it: it would take the connection for one that is closing from then on. */
  terminate (): boolean {
    if (this.isHolding) this.#stream.destroy()
    return this.isHolding
  }

  /** The socket has closed: lets out what is held. Returns whether ws is still to be told. */
  end (): boolean {
    if (this.#timer === null) return true
    clearTimeout(this.#timer)
    this.#timer = null
    const event = this.#event
    this.#event = null
    if (event !== null) this.#connection.emit('close', ...event)
    return false
  }
}

function announce (farewell: Farewell, timeout: number): void {
  farewell.announce(timeout)
}

function destroy (stream: Duplex): void {
  stream.destroy()
}
