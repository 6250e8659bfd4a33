// What is sent to one peer: small messages as frames of our own, in the batch of the turn, all else by the send() of ws.
//
// No other message may come between the fragments of one (RFC 6455 section 5.4), so whole messages wait for the last of them.
// Whoever sends the fragments may await drained() between them: what waits for them counts for maxBufferedAmount alone.
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

/** Whole messages that wait for the last fragment of another one. */
interface HeldBack {
  readonly messages: Array<FramedMessage | Blob>
  size: number
}

// The connection overrides these, and its overrides lead here.
const { ping, pong, send } = WebSocket.prototype

// A control frame has no more (RFC 6455 section 5.5).
const MAX_CONTROL_BYTES = 125

// A count that never gets down to zero, for connections on which ws may hold back every message.
const NEVER_ZERO = 2 ** 30

export class Outgoing extends Backpressure {
  readonly #deflate: SharedDeflate | null
  #heldByWs: number // messages that ws may not have written yet: it compresses them, or reads a Blob
  #behindFragments: HeldBack | null = null // from the first fragment of a message to its last
  #messages = 0
  #bytes = 0

  /** With `mayFrame: false` everything is sent by the send() of ws. */
  constructor (owner: OutgoingOwner, stream: Duplex, deflate: SharedDeflate | null, mayFrame = directFrames.areUsed) {
    super(owner, stream)
    this.#deflate = mayFrame ? deflate : null
    this.#heldByWs = this.#deflate === null && (!mayFrame || owner.connection.extensions !== '') ? NEVER_ZERO : 0
  }

  /** What was sent, in messages and bytes of their payload. */
  get sent (): Traffic {
    return { messages: this.#messages, bytes: this.#bytes }
  }

  protected get heldBack (): number {
    return this.#behindFragments === null ? 0 : this.#behindFragments.size
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
    const counted = this.#mayHold(payload) ? this.#countDown(watched) : watched
    this.writeGathered()
    method.call(this.owner.connection, payload, mask as boolean, counted)
    if (counted !== watched) this.#heldByWs++
    if (watched !== contained) this.update()
  }

  override end (createError: () => Error): void {
    this.#behindFragments = null
    super.end(createError)
  }

  get #isOpen (): boolean {
    return this.owner.connection.readyState === WebSocket.OPEN
  }

  get #isInMessage (): boolean {
    return this.#behindFragments !== null && this.#isOpen
  }

  // Whether a frame may go past ws: it holds no Blob that is read, no message that is compressed, no part of a message.
  get #mayFrame (): boolean {
    return this.#heldByWs === 0 && this.#behindFragments === null && this.#isOpen
  }

  // Returns whether the peer may have fallen behind, so that update() is due.
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
      const counted = this.#deflate !== null || this.#mayHold(payload) ? this.#countDown(watched) : watched
      this.writeGathered()
      send.call(this.owner.connection, payload as Buffer, options, counted)
      if (counted !== watched) this.#heldByWs++
      if (!isWhole && this.#isOpen) this.#behindFragments ??= { messages: [], size: 0 }
      // ws writes the data itself, not a copy.
      this.flush()
    }
    this.#note(isWhole ? 1 : 0, size, payload, isBinary)
    if (isWhole && this.#behindFragments !== null) this.#release(this.#behindFragments)
    return watched !== contained
  }

  // The same for a message that has its frame already.
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
    if (this.#behindFragments === null || this.admit(message.size, undefined) === null) return
    this.#behindFragments.messages.push(message)
    this.#behindFragments.size += message.size
  }

  // The last fragment has been sent.
  #release ({ messages }: HeldBack): void {
    this.#behindFragments = null
    for (const message of messages) {
      if (message instanceof FramedMessage) this.#sendFramed(message)
      else this.#send(message, undefined, undefined)
    }
    // Not before: the connection may be read again, and a handler send more.
    if (messages.length > 0) this.update()
  }

  #mayHold (payload: Payload): boolean {
    return this.#heldByWs < NEVER_ZERO && (this.#heldByWs > 0 || isBlob(payload))
  }

  // Makes of a callback one that counts the message as written by ws.
  #countDown (callback: SendCallback | undefined): SendCallback {
    return (error) => {
      this.#heldByWs--
      callback?.(error)
    }
  }

  // Once the peer has fallen behind, there is no use in gathering frames until the end of the turn.
  #write (frame: Buffer, callback: SendCallback | undefined, watched: SendCallback): void {
    if (watched !== callback) this.writeNow(frame, watched)
    else this.write(frame, callback)
  }

  #note (messages: number, bytes: number, data: unknown, isBinary: boolean): void {
    if (!this.#isOpen) return
    const { url: route, stats: { sent } } = this.owner.route
    this.#messages += messages
    this.#bytes += bytes
    sent.messages += messages
    sent.bytes += bytes
    if (sentChannel.hasSubscribers) sentChannel.publish({ connection: this.owner.connection, route, data, isBinary })
  }
}
