// What is sent to one peer: small messages as frames of our own, in the batch of the turn, all else by the send() of ws.
//
// A message that is sent in fragments has no other between them (RFC 6455 section 5.4): whole ones wait for the last of them.
// It may be sent by somebody who awaits drained(), so they count for maxBufferedAmount alone.
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { sentChannel } from '../channels.ts'
import { FST_ERR_WS_CONTROL_SIZE } from '../errors.ts'
import type { EncodedMessage } from '../messages/message-schemas.ts'
import { isBlob, isInMemory, type Payload, sizeOf, toPayload } from '../messages/payload.ts'
import { directFrames } from '../seams/direct-frames.ts'
import type { Traffic } from '../traffic.ts'
import { Backpressure, type OutgoingOwner } from './backpressure.ts'
import { frameOf, MAX_COPIED_BYTES } from './frame.ts'
import { FramedMessage } from './framed-message.ts'
import { containCallback, readOptions, type SendCallback } from './send-arguments.ts'
import type { SharedDeflate } from './shared-deflate.ts'

export type { OutgoingOwner } from './backpressure.ts'

/** What waits for the last fragment of a message. */
interface HeldBack {
  readonly messages: Array<FramedMessage | Blob>
  size: number
}

// The connection overrides these, and its overrides lead here.
const { ping, pong, send } = WebSocket.prototype

// A control frame has no more (RFC 6455 section 5.5).
const MAX_CONTROL_BYTES = 125

// So many messages that ws will never be done with them.
const FOR_GOOD = 2 ** 30

export class Outgoing extends Backpressure {
  readonly #deflate: SharedDeflate | null
  #held: number // messages that ws may hold back: to compress them, or to read a Blob
  #behind: HeldBack | null = null // from the first fragment of a message to its last
  #messages = 0
  #bytes = 0

  /** With `mayFrame: false` all that is sent goes by the send() of ws. */
  constructor (owner: OutgoingOwner, stream: Duplex, deflate: SharedDeflate | null, mayFrame = directFrames.areUsed) {
    super(owner, stream)
    this.#deflate = mayFrame ? deflate : null
    this.#held = this.#deflate === null && (!mayFrame || owner.connection.extensions !== '') ? FOR_GOOD : 0
  }

  /** What was sent, in messages and bytes of their payload. */
  get sent (): Traffic {
    return { messages: this.#messages, bytes: this.#bytes }
  }

  protected get heldBack (): number {
    return this.#behind === null ? 0 : this.#behind.size
  }

  /** Sends what the send() of ws takes. @throws TypeError, before anything has changed */
  send (data: unknown, options: unknown, callback: unknown): void {
    if (this.#send(data, options, callback)) this.update()
  }

  /** Sends a whole message. */
  sendMessage (data: EncodedMessage): void {
    if (!this.#isInMessage) this.send(data, undefined, undefined)
    else this.#holdBack(isBlob(data) ? data : new FramedMessage(data))
  }

  /** Sends a message that goes to many. */
  sendFramed (message: FramedMessage): void {
    if (this.#isInMessage) this.#holdBack(message)
    else if (this.#sendFramed(message)) this.update()
  }

  /** Sends what the ping() and pong() of ws take. @throws TypeError, FST_ERR_WS_CONTROL_SIZE, before anything has changed */
  sendControl (kind: 'ping' | 'pong', data: unknown, mask: unknown, callback: unknown): void {
    const payload = toPayload(data)
    const size = sizeOf(payload)
    if (size > MAX_CONTROL_BYTES && this.#isOpen) throw FST_ERR_WS_CONTROL_SIZE(kind, size)
    const contained = containCallback(kind, callback, this.owner)
    const watched = this.admit(size, contained)
    if (watched === null) return
    const method = kind === 'ping' ? ping : pong
    const counted = this.#mayHold(payload) ? this.#released(watched) : watched
    this.writeGathered()
    method.call(this.owner.connection, payload, mask as boolean, counted)
    if (counted !== watched) this.#held++
    if (watched !== contained) this.update()
  }

  override end (createError: () => Error): void {
    this.#behind = null
    super.end(createError)
  }

  get #isOpen (): boolean {
    return this.owner.connection.readyState === WebSocket.OPEN
  }

  get #isInMessage (): boolean {
    return this.#behind !== null && this.#isOpen
  }

  // Nothing that ws has been given waits in it: no part of a message, no Blob that is read, nothing that is compressed.
  get #mayFrame (): boolean {
    return this.#held === 0 && this.#behind === null && this.#isOpen
  }

  // Returns whether it may have become more or less than highWaterMark.
  #send (data: unknown, given: unknown, callback: unknown): boolean {
    const payload = toPayload(data)
    const size = sizeOf(payload)
    const options = readOptions(given, typeof payload === 'string')
    const contained = containCallback('send', callback, this.owner)
    const watched = this.admit(size, contained)
    if (watched === null) return false
    const { fin: isWhole, binary: isBinary } = options
    if (size <= MAX_COPIED_BYTES && isWhole && this.#deflate === null && this.#mayFrame && isInMemory(payload) && !options.mask) {
      if (watched === undefined) this.addMessage(payload, size, isBinary)
      else this.#write(frameOf(payload, size, isBinary), contained, watched)
    } else {
      const counted = this.#deflate !== null || this.#mayHold(payload) ? this.#released(watched) : watched
      this.writeGathered()
      send.call(this.owner.connection, payload as Buffer, options, counted)
      if (counted !== watched) this.#held++
      if (!isWhole && this.#isOpen) this.#behind ??= { messages: [], size: 0 }
      // ws sends the data itself, not a copy.
      this.flush()
    }
    this.#note(isWhole ? 1 : 0, size, payload, isBinary)
    if (isWhole && this.#behind !== null) this.#release(this.#behind)
    return watched !== contained
  }

  // The same for a message that has its frame already, if nothing is in the way of it.
  #sendFramed (message: FramedMessage): boolean {
    const frame = this.#mayFrame ? message.frameFor(this.#deflate) : null
    if (frame === null) return this.#send(message.data, undefined, undefined)
    const watched = this.admit(message.size, undefined)
    if (watched === null) return false
    if (watched === undefined) this.addShared(frame)
    else this.#write(frame.bytes, undefined, watched)
    this.#note(1, message.size, message.data, message.isBinary)
    return watched !== undefined
  }

  #holdBack (message: FramedMessage | Blob): void {
    if (this.#behind === null || this.admit(message.size, undefined) === null) return
    this.#behind.messages.push(message)
    this.#behind.size += message.size
  }

  // The last fragment has been sent.
  #release ({ messages }: HeldBack): void {
    this.#behind = null
    for (const message of messages) {
      if (message instanceof FramedMessage) this.#sendFramed(message)
      else this.#send(message, undefined, undefined)
    }
    // Not before: a peer that is read again may make somebody send more.
    if (messages.length > 0) this.update()
  }

  #mayHold (payload: Payload): boolean {
    return this.#held < FOR_GOOD && (this.#held > 0 || isBlob(payload))
  }

  #released (callback: SendCallback | undefined): SendCallback {
    return (error) => {
      this.#held--
      callback?.(error)
    }
  }

  // Once more waits than the peer takes at once, to gather it in a turn is of no use.
  #write (frame: Buffer, callback: SendCallback | undefined, watched: SendCallback): void {
    if (watched !== callback) this.writeNow(frame, watched)
    else this.write(frame, callback)
  }

  #note (messages: number, bytes: number, data: unknown, isBinary: boolean): void {
    if (!this.#isOpen) return
    const { sent } = this.owner.route.traffic
    this.#messages += messages
    this.#bytes += bytes
    sent.messages += messages
    sent.bytes += bytes
    if (sentChannel.hasSubscribers) sentChannel.publish({ connection: this.owner.connection, data, isBinary })
  }
}
