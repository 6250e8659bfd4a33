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
    readonly url: string
    readonly options: Pick<ServerOptions, 'highWaterMark' | 'maxBufferedAmount' | 'cork'>
    readonly stats: { readonly sent: Traffic }
  }
  /** Something is about to be sent, the first time. */
  handleFirstSend (): void
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
  /** Bytes of messages that wait for the last fragment of another one, not for the peer. */
  protected abstract readonly heldBack: number
  #hasSent = false
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

  /** Bytes that wait here, and that ws does not know of. */
  get size (): number {
    return this.gathered + this.heldBack
  }

  async drained (): Promise<void> {
    if (this.#isCongested) await new Promise<void>((resolve, reject) => { (this.#waiters ??= []).push({ resolve, reject }) })
  }

  /** The socket is gone: what drained() has promised is rejected. */
  end (createError: () => Error): void {
    this.#isCongested = false
    for (const { reject } of this.#takeWaiters()) reject(createError())
  }

  protected get isCorking (): boolean {
    // ws ends the stream in the turn in which the peer has ended its side.
    return this.owner.route.options.cork && !this.stream.readableEnded
  }

  /** Looks whether a frame of this size may be sent. Returns the callback that it is sent with, or `null` if it is not. */
  protected admit (size: number, callback: SendCallback | undefined): SendCallback | undefined | null {
    const { highWaterMark, maxBufferedAmount } = this.owner.route.options
    if (this.owner.connection.readyState !== WebSocket.OPEN) return callback
    if (!this.#hasSent) {
      this.#hasSent = true
      this.owner.handleFirstSend()
    }
    let bufferedAmount = this.#bufferedAmount
    if (bufferedAmount + size > highWaterMark && this.isDue) {
      // What is only held until the end of the turn must not count as waiting for the peer.
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

  /** Looks whether the peer has fallen behind, or has caught up. */
  protected update (): void {
    const bufferedAmount = this.#bufferedAmount - this.heldBack
    const { readyState } = this.owner.connection
    // What is dropped with a socket that is destroyed has not been read by the peer.
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
