// Whether the peer of one connection is still there, and how far away it is.
import type { Socket } from 'node:net'
import { now } from '../timers.ts'

/** What a pulse needs of its connection. */
export interface LivenessOwner {
  /** Nothing is read at present, so nothing can be heard. */
  readonly isDeaf: boolean
  /** More waits to be sent to the peer than it takes, so a ping would only wait too. */
  readonly isCongested: boolean
  sendPing (data: Buffer): void
  handleLoss (): void
}

// After so many intervals without a byte the peer is gone.
const MAX_SILENT_INTERVALS = 2

export class Liveness {
  readonly #owner: LivenessOwner
  readonly #socket: Socket
  #bytesRead: number
  #silentIntervals = 0
  #isWatchingProgress = false
  #pingedAt = 0
  #latency: number | undefined = undefined
  #handleTimeout: (() => void) | undefined = undefined

  /** `bytesRead` is how many bytes the peer had sent at the last beat, or when the connection was opened. */
  constructor (owner: LivenessOwner, socket: Socket, bytesRead: number) {
    this.#owner = owner
    this.#socket = socket
    this.#bytesRead = bytesRead
  }

  /** The last round trip in milliseconds. */
  get latency (): number | undefined {
    return this.#latency
  }

  beat (interval: number): void {
    const { isCongested, isDeaf } = this.#owner
    if (isCongested) this.#watchProgress(interval)
    else if (isDeaf) this.#pingUnheard()
    else if (this.#isLost()) this.#owner.handleLoss()
    else this.#ping()
  }

  /** The peer has taken what waited for it. */
  relieve (): void {
    if (!this.#isWatchingProgress) return
    this.#isWatchingProgress = false
    this.#socket.setTimeout(0, this.#handleTimeout)
  }

  handlePong (data: Buffer): void {
    if (this.#pingedAt === 0 || data.length !== 8 || data.readDoubleBE() !== this.#pingedAt) return
    this.#latency = now() - this.#pingedAt
    this.#pingedAt = 0
  }

  #isLost (): boolean {
    const { bytesRead } = this.#socket
    this.#silentIntervals = bytesRead === this.#bytesRead ? this.#silentIntervals + 1 : 0
    this.#bytesRead = bytesRead
    return this.#silentIntervals === MAX_SILENT_INTERVALS
  }

  // Its payload is the time, which nobody else's ping has.
  #ping (): void {
    const data = Buffer.allocUnsafe(8)
    this.#pingedAt = now()
    data.writeDoubleBE(this.#pingedAt)
    this.#owner.sendPing(data)
  }

  // The answer will not be read in time, but a peer that is gone resets the socket.
  #pingUnheard (): void {
    this.#silentIntervals = 0
    this.#pingedAt = 0
    this.#owner.sendPing(Buffer.alloc(0))
  }

  // A peer that takes not a byte has stopped, one that takes some is only slow: Node's socket timeout knows the difference.
  #watchProgress (interval: number): void {
    this.#silentIntervals = 0
    if (this.#isWatchingProgress) return
    this.#isWatchingProgress = true
    this.#handleTimeout ??= () => this.#owner.handleLoss()
    this.#socket.setTimeout(interval, this.#handleTimeout)
  }
}
