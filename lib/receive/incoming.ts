// What comes in from one peer, on its way to who takes it: listeners at once, an iteration and onMessage by the queue. What
// nobody can take yet waits there; what nobody will take is discarded.
import type { Duplex } from 'node:stream'
import { type RawData, WebSocket } from 'ws'
import { receivedChannel } from '../channels.ts'
import { sizeOf } from '../messages/payload.ts'
import { nextTick, setImmediate } from '../timers.ts'
import type { Traffic } from '../traffic.ts'
import type { IncomingOwner } from './incoming-owner.ts'
import { MessageQueue, type MessageQueueOwner } from './message-queue.ts'
import type { PacedStream } from './paced-stream.ts'
import { PauseReason, ReadGate } from './read-gate.ts'

// So many messages and pings are handled for one peer before the others have their turn: a flood comes in chunks of
// thousands, and many chunks at once.
const EVENTS_PER_TURN = 500

export class Incoming extends ReadGate implements MessageQueueOwner {
  readonly #owner: IncomingOwner
  readonly #paced: PacedStream | null
  #queue: MessageQueue | null = null
  #ping: Buffer | null = null // the last one that has no answer yet
  #eventsInTurn = 0
  #hasStarted = false
  #hasEnded = false
  #isMuted = false
  #hasDiscarded = false
  #messages = 0
  #bytes = 0

  constructor (owner: IncomingOwner, paced: PacedStream | null) {
    super()
    this.#owner = owner
    this.#paced = paced
  }

  get connection (): WebSocket {
    return this.#owner.connection
  }

  protected get stream (): Duplex {
    return this.#owner.stream
  }

  /** What has come, in messages and bytes of their payload. */
  get received (): Traffic {
    return { messages: this.#messages, bytes: this.#bytes }
  }

  /** Whether `onConnection` has settled. */
  get hasStarted (): boolean {
    return this.#hasStarted
  }

  get hasOnMessage (): boolean {
    return this.#owner.route.callbacks.hasOnMessage && !this.#isMuted
  }

  get isHeld (): boolean {
    return this.#owner.isCongested || this.#eventsInTurn >= EVENTS_PER_TURN || (this.connection.isPaused && !this.#hasEnded)
  }

  /** Whether `onMessage` has seen all that is for it, and has settled. */
  get isIdle (): boolean {
    return this.#queue === null || this.#queue.isIdle
  }

  /** `onConnection` has settled: lets the messages go to `onMessage`. */
  start (): void {
    this.#hasStarted = true
    this.#queue?.deliver()
    this.#discardUnwanted()
  }

  /** Takes a message, and returns whether somebody listened for it. */
  receive (data: RawData, isBinary: boolean): boolean {
    const size = sizeOf(data)
    this.#messages++
    this.#bytes += size
    const { received } = this.#owner.route.stats
    received.messages++
    received.bytes += size
    this.#paced?.noteReceived()
    if (receivedChannel.hasSubscribers) receivedChannel.publish({ connection: this.connection, route: this.#owner.route.url, data, isBinary })
    // Not within close(): an error of the peer may follow that.
    if (this.#isMuted) this.#discardUnwanted()
    const hasListener = this.#queue?.isHolding !== true && this.#owner.notifyMessage(data, isBinary)
    this.countEvent()
    if (this.hasOnMessage || !hasListener || this.#queue !== null) this.#take(data, isBinary, hasListener)
    this.handleRoom()
    return hasListener
  }

  /** Something has come that costs a turn. */
  countEvent (): void {
    if (++this.#eventsInTurn !== EVENTS_PER_TURN) return
    this.shut(PauseReason.Turn)
    setImmediate(() => {
      this.#eventsInTurn = 0
      this.open(PauseReason.Turn)
      this.deliver()
    })
  }

  /** In order, as long as the peer takes them; then the last one stands for all (RFC 6455 section 5.5.3). */
  answerPing (data: Buffer): void {
    this.countEvent()
    if (this.connection.readyState !== WebSocket.OPEN) return
    if (!this.#owner.isCongested) this.#owner.sendPong(data)
    // A copy: the data is a part of a chunk of up to 64 KiB.
    else this.#ping = Buffer.from(data)
  }

  iterate (): AsyncIterableIterator<unknown, undefined> {
    return this.#makeQueue().iterate()
  }

  /** Somebody listens for 'message'. */
  handleListener (): void {
    if (this.#queue?.isHolding === true) this.handleHeld()
  }

  setCongested (isCongested: boolean): void {
    if (isCongested) {
      this.shut(PauseReason.Congestion)
      return
    }
    this.open(PauseReason.Congestion)
    const ping = this.#ping
    this.#ping = null
    if (ping !== null) this.#owner.sendPong(ping)
    this.deliver()
  }

  /** Hands out what can be handed out now. */
  deliver (): void {
    this.#queue?.deliver()
    this.handleListener()
  }

  /** This side has closed the connection: `onMessage` gets no more. With `false` it was an error of the peer, and it does. */
  mute (isMuted: boolean): void {
    this.#isMuted = isMuted
    if (!isMuted) this.deliver()
  }

  /** The peer has closed the connection, or broken the protocol: ws takes no more messages. */
  stop (): void {
    this.#paced?.free()
  }

  /** Nothing comes any more; what waits is handed out all the same. */
  end (): void {
    this.#hasEnded = true
    this.#discardUnwanted()
    if (this.#queue === null) this.#owner.handleIdle()
    else this.#queue.end()
  }

  /** `onClose` is about to be called: `onMessage` is not called any more. */
  retire (): void {
    this.mute(true)
    this.#discardUnwanted()
  }

  // ---- for the queue ----------------------------------------------------------------------------------------------------

  decode (data: RawData, isBinary: boolean): unknown {
    return this.#owner.route.messages.decode(data, isBinary)
  }

  callOnMessage (message: unknown): unknown {
    return this.#owner.callOnMessage(message)
  }

  fail (error: unknown): void {
    this.#owner.fail(error)
  }

  iterationError (): Error | null {
    return this.#owner.iterationError()
  }

  handleRoom (): void {
    const queue = this.#queue
    if (queue !== null && queue.size > this.#owner.route.options.highWaterMark) {
      this.shut(PauseReason.Queue)
      return
    }
    this.open(PauseReason.Queue)
    this.#paced?.next()
    if (this.#hasEnded && this.isIdle) this.#owner.handleIdle()
  }

  handleHeld (): void {
    nextTick(() => this.#handOver())
  }

  #makeQueue (): MessageQueue {
    this.#queue ??= new MessageQueue(this, this.#hasEnded)
    return this.#queue
  }

  #take (data: RawData, isBinary: boolean, wasSeen: boolean): void {
    const isWanted = this.hasOnMessage || this.#queue?.isWanted === true
    const isAhead = !wasSeen && (!this.#hasStarted || this.#queue?.isHolding === true)
    if (isWanted || isAhead) this.#makeQueue().push(data, isBinary, wasSeen)
    else if (!wasSeen) this.#noteDiscarded(1)
  }

  // While there is a listener, in their order. What a listener has seen beside an iteration was for it.
  #handOver (): void {
    while (this.connection.listenerCount('message') > 0 && !this.isHeld) {
      const message = this.#queue?.takeHeld()
      if (message === undefined) break
      if (!message.wasSeen) this.#owner.notifyMessage(message.data, message.isBinary)
    }
    this.#discardUnwanted()
    this.handleRoom()
  }

  // Once `onConnection` has settled; a listener is about to be handed what waits.
  #discardUnwanted (): void {
    const queue = this.#queue
    if (this.#hasStarted && queue?.isHolding === true && this.connection.listenerCount('message') === 0) this.#noteDiscarded(queue.clear())
  }

  #noteDiscarded (count: number): void {
    this.#owner.route.stats.discarded += count
    if (!this.#hasDiscarded) this.#owner.handleDiscarded()
    this.#hasDiscarded = true
  }
}
