// Between the upgrade request and its answer nobody reads the socket, so nobody would see that the client has left.
// This does: it reads, keeps what comes early for the WebSocket, and tells when the client half-closes or resets.
import type { Socket } from 'node:net'

// More than this many bytes wait in the kernel, where TCP slows the client down; none of them is lost.
const MAX_EARLY_BYTES = 65_536

export class SocketWatch {
  readonly #socket: Socket
  readonly #onGone: () => void
  #early: Buffer[]
  #size: number
  #isDiscarding = false

  constructor (socket: Socket, head: Buffer, onGone: () => void) {
    this.#socket = socket
    this.#onGone = onGone
    this.#early = head.length === 0 ? [] : [head]
    this.#size = head.length
  }

  start (): void {
    this.#socket.on('data', this.#handleData)
    this.#socket.on('end', this.#handleEnd)
    this.#socket.on('close', this.#onGone)
    // It may have left while the upgrade waited for its turn behind other requests.
    if (this.#socket.destroyed || this.#socket.readableEnded) this.#onGone()
  }

  /** Ends the watch and returns what came early. Who takes the socket says whether it is read on. */
  stop (): Buffer {
    this.#socket.off('data', this.#handleData)
    this.#socket.off('end', this.#handleEnd)
    this.#socket.off('close', this.#onGone)
    const early = Buffer.concat(this.#early)
    this.#early = []
    return early
  }

  /** Reads on, but keeps nothing: the handshake is refused, and a client may half-close while it reads the answer. */
  discard (): void {
    this.#isDiscarding = true
    this.#early = []
    this.#socket.resume()
  }

  readonly #handleData = (chunk: Buffer): void => {
    if (this.#isDiscarding) return
    this.#early.push(chunk)
    this.#size += chunk.length
    if (this.#size > MAX_EARLY_BYTES) this.#socket.pause()
  }

  readonly #handleEnd = (): void => {
    if (!this.#isDiscarding) this.#onGone()
  }
}
