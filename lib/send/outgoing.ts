// What is sent to one peer, and what waits because the peer takes it too slowly:
//
//   0 ──────── highWaterMark ──────────────────── maxBufferedAmount ────────→ bytes that wait
//     free     │ congested: sendMessage() is false,      │ the next frame is refused,
//              │ nothing is read from the peer           │ the connection terminated
//
// A frame that is sent while more than highWaterMark waits, or that makes it more, has a callback: the last of them
// notices that the peer has caught up. Other small frames wait in the batch for the end of the turn.
import { AsyncResource } from 'node:async_hooks'
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { sentChannel } from '../channels.ts'
import { FST_ERR_WS_SLOW_CONSUMER } from '../errors.ts'
import { sizeOf } from '../messages/message-size.ts'
import { bufferedByWs } from '../seams/counting-websocket.ts'
import type { Traffic } from '../traffic.ts'
import { Batch } from './batch.ts'
import { frameOf, MAX_COPIED_BYTES } from './frame.ts'
import type { FramedMessage } from './framed-message.ts'
import type { SharedDeflate } from './shared-deflate.ts'
import { nextTick } from '../timers.ts'

/** What an outgoing needs of its connection. */
export interface OutgoingOwner {
  readonly connection: WebSocket
  readonly route: OutgoingRoute
  setCongested (isCongested: boolean): void
  /** The peer is too slow. */
  handleSlowConsumer (error: Error): void
}

/** What all outboxes of a route share. */
interface OutgoingRoute {
  readonly options: {
    readonly highWaterMark: number
    readonly maxBufferedAmount: number
    /** Small frames may wait for the end of the turn. */
    readonly cork: boolean
  }
  readonly traffic: { readonly sent: Traffic }
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

const NOBODY: readonly Waiter[] = []

// So many messages that ws will never be done with them.
const FOR_GOOD = 2 ** 30

export class Outgoing extends Batch {
  readonly #owner: OutgoingOwner
  readonly #deflate: SharedDeflate | null
  #held: number // messages that ws may hold back: to compress them, or to read a Blob
  #isFragmented = false
  #isCongested = false
  #handleSent: SendCallback | null = null
  #waiters: Waiter[] | null = null
  #messages = 0
  #bytes = 0

  constructor (owner: OutgoingOwner, stream: Duplex, deflate: SharedDeflate | null) {
    super(stream)
    this.#owner = owner
    this.#deflate = deflate
    this.#held = deflate === null && owner.connection.extensions !== '' ? FOR_GOOD : 0
  }

  /** What was sent, in messages and bytes of their payload. */
  get sent (): Traffic {
    return { messages: this.#messages, bytes: this.#bytes }
  }

  get isCongested (): boolean {
    return this.#isCongested
  }

  protected get isCorking (): boolean {
    return this.#owner.route.options.cork
  }

  get bufferedAmount (): number {
    return bufferedByWs(this.#owner.connection) + this.size
  }

  send (data: unknown, options: SendOptions | undefined, callback: SendCallback | undefined): void {
    const size = sizeOf(data)
    const watched = this.#admit(size, callback)
    if (watched === null) return
    const isWhole = readFlag(options, 'fin', true)
    const isBinary = readFlag(options, 'binary', typeof data !== 'string')
    if (size <= MAX_COPIED_BYTES && isWhole && this.#deflate === null && this.#mayFrame && isPlain(data) && !readFlag(options, 'mask', false)) {
      if (watched === undefined) this.addMessage(data, size, isBinary)
      else this.#write(frameOf(data, size, isBinary), callback, watched)
    } else {
      this.settle()
      send.call(this.#owner.connection, data as Buffer, options as object, this.#deflate === null ? watched : this.#countHeld(watched))
      this.#isFragmented = !isWhole
      if (data instanceof Blob) this.#held = FOR_GOOD
      // ws sends the data itself, not a copy.
      this.flush()
    }
    this.#note(isWhole ? 1 : 0, size, data, isBinary)
    if (watched !== callback) this.#update()
  }

  /** Sends a message that has its frame already, if nothing is in the way of it. */
  sendFramed (message: FramedMessage): void {
    const frame = this.#mayFrame ? message.frameFor(this.#deflate) : null
    if (frame === null) {
      this.send(message.data, { binary: message.isBinary }, undefined)
      return
    }
    const watched = this.#admit(message.size, undefined)
    if (watched === null) return
    if (watched === undefined) this.addShared(frame)
    else this.#write(frame.bytes, undefined, watched)
    this.#note(1, message.size, message.data, message.isBinary)
    if (watched !== undefined) this.#update()
  }

  sendControl (kind: 'ping' | 'pong', data: unknown, callback: SendCallback | undefined): void {
    const watched = this.#admit(MAX_CONTROL_BYTES, callback)
    if (watched === null) return
    const method = kind === 'ping' ? ping : pong
    this.settle()
    method.call(this.#owner.connection, data, false, watched)
    if (data instanceof Blob) this.#held = FOR_GOOD
    if (watched !== callback) this.#update()
  }

  async drained (): Promise<void> {
    if (this.#isCongested) await new Promise<void>((resolve, reject) => { (this.#waiters ??= []).push({ resolve, reject }) })
  }

  /** Nothing is sent any more. */
  end (createError: () => Error): void {
    this.#isCongested = false
    for (const { reject } of this.#takeWaiters()) reject(createError())
  }

  // Nothing that ws has been given waits in it: no part of a message, no Blob that is read, nothing that is compressed.
  get #mayFrame (): boolean {
    return this.#held === 0 && !this.#isFragmented && this.#owner.connection.readyState === WebSocket.OPEN
  }

  #countHeld (callback: SendCallback | undefined): SendCallback {
    this.#held++
    return (error) => {
      this.#held--
      callback?.(error)
    }
  }

  // With what the frame is sent, or `null` if it is not.
  #admit (size: number, callback: SendCallback | undefined): SendCallback | undefined | null {
    const { highWaterMark, maxBufferedAmount } = this.#owner.route.options
    if (this.#owner.connection.readyState !== WebSocket.OPEN) return callback
    // What waits for the end of the turn does not wait for the peer.
    if (this.isDue && this.bufferedAmount + size > highWaterMark) this.flush()
    const { bufferedAmount } = this
    if (bufferedAmount > maxBufferedAmount) {
      const error = FST_ERR_WS_SLOW_CONSUMER(bufferedAmount, maxBufferedAmount)
      if (callback !== undefined) nextTick(callback, error)
      this.#owner.handleSlowConsumer(error)
      return null
    }
    return bufferedAmount + size > highWaterMark ? this.#watch(callback) : callback
  }

  // Once more waits than the peer takes at once, to gather it in a turn is of no use.
  #write (frame: Buffer, callback: SendCallback | undefined, watched: SendCallback): void {
    if (watched !== callback) this.writeNow(frame, watched)
    // It is called at the end of the turn, on behalf of whoever sends now.
    else this.write(frame, AsyncResource.bind(callback))
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
    const { bufferedAmount } = this
    const { readyState } = this.#owner.connection
    // What waits when the socket is destroyed is gone, and has not been taken.
    if (readyState !== WebSocket.OPEN) return
    const isCongested = bufferedAmount > this.#owner.route.options.highWaterMark
    if (isCongested === this.#isCongested) return
    this.#isCongested = isCongested
    this.#owner.setCongested(isCongested)
    if (!isCongested) for (const { resolve } of this.#takeWaiters()) resolve()
  }

  #note (messages: number, bytes: number, data: unknown, isBinary: boolean): void {
    if (this.#owner.connection.readyState !== WebSocket.OPEN) return
    const { sent } = this.#owner.route.traffic
    this.#messages += messages
    this.#bytes += bytes
    sent.messages += messages
    sent.bytes += bytes
    if (sentChannel.hasSubscribers) sentChannel.publish({ connection: this.#owner.connection, data, isBinary })
  }

  #takeWaiters (): readonly Waiter[] {
    const waiters = this.#waiters
    this.#waiters = null
    return waiters ?? NOBODY
  }
}

// As ws reads them: an option that is there counts, even if it is `undefined`.
function readFlag (options: SendOptions | undefined, name: keyof SendOptions, byDefault: boolean): boolean {
  return options != null && name in options ? Boolean(options[name]) : byDefault
}

function isPlain (data: unknown): data is string | NodeJS.ArrayBufferView {
  return typeof data === 'string' || ArrayBuffer.isView(data)
}
