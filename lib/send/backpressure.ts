// What waits because the peer takes it too slowly:
//
//   0 ──────── highWaterMark ──────────────────── maxBufferedAmount ────────→ bytes that wait
//     free     │ congested: sendMessage() is false,      │ the next frame is refused,
//              │ nothing is read from the peer           │ the connection terminated
//
// A frame that is sent while more than highWaterMark waits, or that makes it more, has a callback: the last of them
// notices that the peer has caught up.
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { FST_ERR_WS_SLOW_CONSUMER } from '../errors.ts'
import { bufferedByWs } from '../seams/server-websocket.ts'
import type { ServerOptions } from '../server-options.ts'
import { nextTick } from '../timers.ts'
import type { Traffic } from '../traffic.ts'
import { Batch } from './batch.ts'
import type { SendCallback } from './send-arguments.ts'

/** What outgoing messages need of their connection. */
export interface OutgoingOwner {
  readonly connection: WebSocket
  readonly route: {
    readonly options: Pick<ServerOptions, 'highWaterMark' | 'maxBufferedAmount' | 'cork'>
    readonly traffic: { readonly sent: Traffic }
  }
  setCongested (isCongested: boolean): void
  /** The peer is too slow. */
  handleSlowConsumer (error: Error): void
  /** A callback of the application has failed. */
  fail (error: unknown): void
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export abstract class Backpressure extends Batch {
  protected readonly owner: OutgoingOwner
  /** Bytes that do not wait for the peer, but for something that is still to be sent. */
  protected abstract readonly heldBack: number
  #isCongested = false
  #handleSent: SendCallback | null = null
  #waiters: Waiter[] | null = null

  constructor (owner: OutgoingOwner, stream: Duplex) {
    super(stream)
    this.owner = owner
  }

  get isCongested (): boolean {
    return this.#isCongested
  }

  /** Bytes that ws has not been given. */
  get size (): number {
    return this.gathered + this.heldBack
  }

  async drained (): Promise<void> {
    if (this.#isCongested) await new Promise<void>((resolve, reject) => { (this.#waiters ??= []).push({ resolve, reject }) })
  }

  /** Nothing is sent any more. */
  end (createError: () => Error): void {
    this.#isCongested = false
    for (const { reject } of this.#takeWaiters()) reject(createError())
  }

  protected get isCorking (): boolean {
    return this.owner.route.options.cork
  }

  /** With what a frame is sent, or `null` if it is not. */
  protected admit (size: number, callback: SendCallback | undefined): SendCallback | undefined | null {
    const { highWaterMark, maxBufferedAmount } = this.owner.route.options
    if (this.owner.connection.readyState !== WebSocket.OPEN) return callback
    let bufferedAmount = this.#bufferedAmount
    if (bufferedAmount + size > highWaterMark && this.isDue) {
      // What waits for the end of the turn does not wait for the peer.
      this.flush()
      bufferedAmount = this.#bufferedAmount
    }
    if (bufferedAmount > maxBufferedAmount) {
      const error = FST_ERR_WS_SLOW_CONSUMER(bufferedAmount, maxBufferedAmount)
      if (callback !== undefined) nextTick(callback, error)
      this.owner.handleSlowConsumer(error)
      return null
    }
    return bufferedAmount + size > highWaterMark ? this.#watch(callback) : callback
  }

  /** It may have become more or less than highWaterMark. */
  protected update (): void {
    const bufferedAmount = this.#bufferedAmount - this.heldBack
    const { readyState } = this.owner.connection
    // What waits when the socket is destroyed is gone, and has not been taken.
    if (readyState !== WebSocket.OPEN) return
    const isCongested = bufferedAmount > this.owner.route.options.highWaterMark
    if (isCongested === this.#isCongested) return
    this.#isCongested = isCongested
    this.owner.setCongested(isCongested)
    if (!isCongested) for (const { resolve } of this.#takeWaiters()) resolve()
  }

  get #bufferedAmount (): number {
    return bufferedByWs(this.owner.connection) + this.size
  }

  #watch (callback: SendCallback | undefined): SendCallback {
    const handleSent = this.#handleSent ??= () => { this.update() }
    if (callback === undefined) return handleSent
    return (error) => {
      handleSent()
      callback(error)
    }
  }

  #takeWaiters (): readonly Waiter[] {
    const waiters = this.#waiters ?? []
    this.#waiters = null
    return waiters
  }
}
