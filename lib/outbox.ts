// What is sent to one peer, and what waits because the peer takes it too slowly:
//
//   0 ──────── highWaterMark ──────────────────── maxBufferedAmount ────────→ bytes that wait
//     free     │ congested: sendMessage() is false,      │ the next frame is refused,
//              │ nothing is read from the peer           │ the connection terminated
//
// A frame that is sent while more than highWaterMark waits, or that makes it more, has a callback: the last of them
// notices that the peer has caught up. Other small frames wait in the corked stream for the end of the turn.
import { AsyncResource } from 'node:async_hooks'
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { sentChannel } from './channels.ts'
import { FST_ERR_WS_SLOW_CONSUMER } from './errors.ts'
import { MAX_COPIED_BYTES, frameOf } from './frame.ts'
import type { FramedMessage } from './framed-message.ts'
import { sizeOf } from './message-size.ts'
import type { SharedDeflate } from './shared-deflate.ts'
import type { Traffic } from './stats.ts'
import { type Corked, flushAtTurnEnd } from './turn.ts'

/** What an outbox needs of its connection. */
export interface OutboxOwner {
  readonly highWaterMark: number
  readonly maxBufferedAmount: number
  /** Small frames may wait for the end of the turn. */
  readonly mayCork: boolean
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

export class Outbox implements Corked {
  /** What was sent, in messages and bytes of their payload. */
  readonly sent = { messages: 0, bytes: 0 }
  readonly #owner: OutboxOwner
  readonly #connection: WebSocket
  readonly #stream: Duplex
  readonly #total: Traffic
  readonly #hasExtension: boolean
  readonly #deflate: SharedDeflate | null
  #isCorked = false
  #isFragmented = false
  #hasSentBlob = false
  #compressing = 0 // messages that ws may be compressing, where some need not be given to it
  #isCongested = false
  #handleSent: SendCallback | null = null
  #waiters: Waiter[] = []

  constructor (owner: OutboxOwner, connection: WebSocket, stream: Duplex, total: Traffic, deflate: SharedDeflate | null) {
    this.#owner = owner
    this.#connection = connection
    this.#stream = stream
    this.#total = total
    this.#hasExtension = connection.extensions !== ''
    this.#deflate = deflate
  }

  get isCongested (): boolean {
    return this.#isCongested
  }

  send (data: unknown, options: SendOptions | undefined, callback: SendCallback | undefined): void {
    const size = sizeOf(data)
    const watched = this.#admit(size, callback)
    if (watched === null) return
    const isWhole = readFlag(options, 'fin', true)
    const isBinary = readFlag(options, 'binary', typeof data !== 'string')
    if (size <= MAX_COPIED_BYTES && isWhole && this.#mayFrame && isPlain(data) && !readFlag(options, 'mask', false)) {
      this.#write(frameOf(data, size, isBinary), callback, watched)
    } else {
      send.call(this.#connection, data as Buffer, options as object, this.#deflate === null ? watched : this.#countCompressing(watched))
      this.#isFragmented = !isWhole
      this.#hasSentBlob ||= data instanceof Blob
      // ws sends the data itself, not a copy.
      this.flush()
    }
    this.#count(isWhole ? 1 : 0, size)
    if (sentChannel.hasSubscribers) sentChannel.publish({ connection: this.#connection, data, isBinary })
    if (watched !== callback) this.#update()
  }

  /** Sends a message that has its frame already, if nothing is in the way of it. */
  sendFramed (message: FramedMessage): void {
    const frame = this.#mayFrame || this.#mayShare ? message.frameFor(this.#deflate) : null
    if (frame === null) {
      this.send(message.data, { binary: message.isBinary }, undefined)
      return
    }
    const watched = this.#admit(message.size, undefined)
    if (watched === null) return
    this.#write(frame, undefined, watched)
    this.#count(1, message.size)
    if (sentChannel.hasSubscribers) sentChannel.publish({ connection: this.#connection, data: message.data, isBinary: message.isBinary })
    if (watched !== undefined) this.#update()
  }

  sendControl (kind: 'ping' | 'pong', data: unknown, callback: SendCallback | undefined): void {
    const watched = this.#admit(MAX_CONTROL_BYTES, callback)
    if (watched === null) return
    const method = kind === 'ping' ? ping : pong
    method.call(this.#connection, data, false, watched)
    this.#hasSentBlob ||= data instanceof Blob
    if (watched !== callback) this.#update()
  }

  /** What is sent from now on leaves at the end of this turn, together. */
  cork (): void {
    if (this.#isCorked || !this.#owner.mayCork) return
    this.#isCorked = true
    this.#stream.cork()
    flushAtTurnEnd(this)
  }

  /** Lets out what waits for the end of the turn. */
  flush (): void {
    if (!this.#isCorked) return
    this.#isCorked = false
    this.#stream.uncork()
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

  // The same where messages may be compressed, each for itself.
  get #mayShare (): boolean {
    return this.#deflate !== null && this.#compressing === 0 && !this.#isFragmented && !this.#hasSentBlob && this.#connection.readyState === WebSocket.OPEN
  }

  #countCompressing (callback: SendCallback | undefined): SendCallback {
    this.#compressing++
    return (error) => {
      this.#compressing--
      callback?.(error)
    }
  }

  // With what the frame is sent, or `null` if it is not.
  #admit (size: number, callback: SendCallback | undefined): SendCallback | undefined | null {
    const { highWaterMark, maxBufferedAmount } = this.#owner
    if (this.#connection.readyState !== WebSocket.OPEN) return callback
    // What waits for the end of the turn does not wait for the peer.
    if (this.#isCorked && this.#connection.bufferedAmount + size > highWaterMark) this.flush()
    const { bufferedAmount } = this.#connection
    if (bufferedAmount > maxBufferedAmount) {
      const error = FST_ERR_WS_SLOW_CONSUMER(bufferedAmount, maxBufferedAmount)
      if (callback !== undefined) process.nextTick(callback, error)
      this.#owner.handleSlowConsumer(error)
      return null
    }
    return bufferedAmount + size > highWaterMark ? this.#watch(callback) : callback
  }

  // Once more waits than the peer takes at once, to gather it in a turn is of no use.
  #write (frame: Buffer, callback: SendCallback | undefined, watched: SendCallback | undefined): void {
    if (watched !== callback) {
      this.#stream.write(frame, watched as SendCallback)
      return
    }
    this.cork()
    // It is called at the end of the turn, on behalf of whoever sends now.
    this.#stream.write(frame, (callback && AsyncResource.bind(callback)) as SendCallback)
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

  #count (messages: number, bytes: number): void {
    if (this.#connection.readyState !== WebSocket.OPEN) return
    this.sent.messages += messages
    this.sent.bytes += bytes
    this.#total.messages += messages
    this.#total.bytes += bytes
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
