// What is sent to one peer, and what waits because the peer takes it too slowly:
//
//   0 ──────── highWaterMark ──────────────────── maxBufferedAmount ────────→ bytes that wait
//     free     │ congested: sendMessage() is false,      │ the next frame is refused,
//              │ nothing is read from the peer           │ the connection terminated
//
// A frame that is sent while more than highWaterMark waits, or that makes it more, has a callback: the last of them
// notices that the peer has caught up.
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { FST_ERR_WS_SLOW_CONSUMER } from './errors.ts'
import { MAX_COPIED_BYTES, smallFrame } from './frame.ts'
import { sizeOf } from './message-size.ts'

/** What an outbox needs of its connection. */
export interface OutboxOwner {
  readonly highWaterMark: number
  readonly maxBufferedAmount: number
  setCongested (isCongested: boolean): void
  /** The peer is too slow. */
  handleSlowConsumer (error: Error): void
}

export type SendCallback = (error?: Error | null) => void

export interface SendOptions {
  readonly binary?: boolean | undefined
  readonly fin?: boolean | undefined
  readonly mask?: boolean | undefined
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

// The connection overrides these, and its overrides lead here.
const { ping, pong, send } = WebSocket.prototype

// A control frame has no more (RFC 6455 section 5.5).
const MAX_CONTROL_BYTES = 125

export class Outbox {
  /** What was sent, in messages and bytes of their payload. */
  readonly sent = { messages: 0, bytes: 0 }
  readonly #owner: OutboxOwner
  readonly #connection: WebSocket
  readonly #stream: Duplex
  readonly #hasExtension: boolean
  #isFragmented = false
  #hasSentBlob = false
  #isCongested = false
  #handleSent: SendCallback | null = null
  #waiters: Waiter[] = []

  constructor (owner: OutboxOwner, connection: WebSocket, stream: Duplex) {
    this.#owner = owner
    this.#connection = connection
    this.#stream = stream
    this.#hasExtension = connection.extensions !== ''
  }

  get isCongested (): boolean {
    return this.#isCongested
  }

  send (data: unknown, options: SendOptions | undefined, callback: SendCallback | undefined): void {
    const size = sizeOf(data)
    const watched = this.#admit(size, callback)
    if (watched === null) return
    const isWhole = readFlag(options, 'fin', true)
    if (size <= MAX_COPIED_BYTES && isWhole && this.#mayFrame && isPlain(data) && !readFlag(options, 'mask', false)) {
      this.#stream.write(smallFrame(data, size, readFlag(options, 'binary', typeof data !== 'string')), watched as SendCallback)
    } else {
      send.call(this.#connection, data as Buffer, options as object, watched)
      this.#isFragmented = !isWhole
      this.#hasSentBlob ||= data instanceof Blob
    }
    if (isWhole) this.sent.messages++
    this.sent.bytes += size
    if (watched !== callback) this.#update()
  }

  sendControl (kind: 'ping' | 'pong', data: unknown, callback: SendCallback | undefined): void {
    const watched = this.#admit(MAX_CONTROL_BYTES, callback)
    if (watched === null) return
    const method = kind === 'ping' ? ping : pong
    method.call(this.#connection, data, false, watched)
    this.#hasSentBlob ||= data instanceof Blob
    if (watched !== callback) this.#update()
  }

  async drained (): Promise<void> {
    if (this.#isCongested) await new Promise<void>((resolve, reject) => { this.#waiters.push({ resolve, reject }) })
  }

  /** Nothing is sent any more. */
  end (createError: () => Error): void {
    this.#isCongested = false
    for (const { reject } of this.#takeWaiters()) reject(createError())
  }

  // Nothing that ws has been given waits in it: no part of a message, no Blob that is read, nothing that is compressed.
  get #mayFrame (): boolean {
    return !this.#hasExtension && !this.#isFragmented && !this.#hasSentBlob && this.#connection.readyState === WebSocket.OPEN
  }

  // With what the frame is sent, or `null` if it is not.
  #admit (size: number, callback: SendCallback | undefined): SendCallback | undefined | null {
    const { bufferedAmount, readyState } = this.#connection
    const { highWaterMark, maxBufferedAmount } = this.#owner
    if (readyState !== WebSocket.OPEN) return callback
    if (bufferedAmount > maxBufferedAmount) {
      const error = FST_ERR_WS_SLOW_CONSUMER(bufferedAmount, maxBufferedAmount)
      if (callback !== undefined) process.nextTick(callback, error)
      this.#owner.handleSlowConsumer(error)
      return null
    }
    return bufferedAmount + size > highWaterMark ? this.#watch(callback) : callback
  }

  #watch (callback: SendCallback | undefined): SendCallback {
    const handleSent = this.#handleSent ??= () => { this.#update() }
    if (callback === undefined) return handleSent
    return (error) => {
      handleSent()
      callback(error)
    }
  }

  #update (): void {
    const { bufferedAmount, readyState } = this.#connection
    // What waits when the socket is destroyed is gone, and has not been taken.
    if (readyState !== WebSocket.OPEN) return
    const isCongested = bufferedAmount > this.#owner.highWaterMark
    if (isCongested === this.#isCongested) return
    this.#isCongested = isCongested
    this.#owner.setCongested(isCongested)
    if (!isCongested) for (const { resolve } of this.#takeWaiters()) resolve()
  }

  #takeWaiters (): Waiter[] {
    const waiters = this.#waiters
    this.#waiters = []
    return waiters
  }
}

// As ws reads them: an option that is there counts, even if it is `undefined`.
function readFlag (options: SendOptions | undefined, name: keyof SendOptions, byDefault: boolean): boolean {
  return options != null && name in options ? Boolean(options[name]) : byDefault
}

function isPlain (data: unknown): data is string | NodeJS.ArrayBufferView {
  return typeof data === 'string' || ArrayBuffer.isView(data)
}
