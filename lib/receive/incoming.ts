// What comes in from one peer, on its way to who takes it: listeners at once, an iteration and onMessage by the queue.
import { type RawData, WebSocket } from 'ws'
import { receivedChannel } from '../channels.ts'
import { sizeOf } from '../messages/message-size.ts'
import type { Traffic } from '../traffic.ts'
import { MessageQueue, type MessageQueueOwner } from './message-queue.ts'
import type { PacedStream } from './paced-stream.ts'
import { Pongs } from './pongs.ts'
import { PauseReason, ReadGate } from './read-gate.ts'
import { nextTick, setImmediate } from '../timers.ts'

/** The connection that they come in on. */
export interface IncomingConnection extends WebSocket {
  /** Tells the listeners of a message, and returns whether there was one. */
  notifyMessage (data: RawData, isBinary: boolean): boolean
}

/** What the incoming messages of all connections of a route share. */
export interface IncomingRoute {
  readonly options: { readonly highWaterMark: number }
  readonly messages: { decode (data: RawData, isBinary: boolean): unknown }
  readonly callbacks: {
    readonly hasOnMessage: boolean
    callOnMessage (connection: IncomingConnection, message: unknown): unknown
  }
  readonly traffic: { readonly received: Traffic }
}

/** What incoming messages need of its session. */
export interface IncomingOwner {
  readonly connection: IncomingConnection
  readonly route: IncomingRoute
  readonly isCongested: boolean
  /** What is sent from now on leaves at the end of the turn, together. */
  cork (): void
  fail (error: unknown): void
  iterationError (): Error | null
  handleIdle (): void
}

// So many messages and pings are handled for one peer before the others have their turn: a flood comes in chunks of
// thousands, and many chunks at once.
const EVENTS_PER_TURN = 500

// The connection overrides it, and its override leads to the session.
const { pong } = WebSocket.prototype

export class Incoming extends ReadGate implements MessageQueueOwner {
  readonly #owner: IncomingOwner
  readonly #paced: PacedStream | null
  #queue: MessageQueue | null = null
  #pongs: Pongs | null = null
  #isNextDue = false // the next message may be inflated as soon as somebody could take it
  #eventsInTurn = 0
  #hasStarted = false
  #isMuted = false
  #messages = 0
  #bytes = 0

  constructor (owner: IncomingOwner, paced: PacedStream | null) {
    super(owner.connection, PauseReason.Start)
    this.#owner = owner
    this.#paced = paced
  }

  get connection (): IncomingConnection {
    return this.#owner.connection
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
    return this.#owner.route.callbacks.hasOnMessage
  }

  get highWaterMark (): number {
    return this.#owner.route.options.highWaterMark
  }

  get isHeld (): boolean {
    return this.#owner.isCongested || this.#eventsInTurn >= EVENTS_PER_TURN
  }

  /** Whether `onMessage` has seen all that is for it, and has settled. */
  get isIdle (): boolean {
    return this.#queue === null || this.#queue.isIdle
  }

  /** `onConnection` has settled: lets the messages come. */
  start (): void {
    this.#hasStarted = true
    this.#queue?.start()
    this.open(PauseReason.Start)
  }

  /** Takes a message, and returns whether somebody listened for it. */
  receive (data: RawData, isBinary: boolean): boolean {
    this.#isNextDue = true
    const hasListener = !this.#isMuted && this.#deliver(data, isBinary)
    this.countEvent()
    if (this.#queue === null || this.#isMuted || !this.#queue.isWanted) this.#passNext()
    return hasListener
  }

  /** Something has come that costs a turn. */
  countEvent (): void {
    if (++this.#eventsInTurn !== EVENTS_PER_TURN) return
    this.shut(PauseReason.Turn)
    setImmediate(() => {
      this.#eventsInTurn = 0
      this.open(PauseReason.Turn)
      this.#queue?.deliver()
    })
  }

  answerPing (data: Buffer): void {
    this.countEvent()
    if (this.connection.readyState !== WebSocket.OPEN) return
    this.#owner.cork()
    this.#pongs ??= new Pongs((payload, callback) => pong.call(this.connection, payload, false, callback))
    this.#pongs.answer(data)
  }

  iterate (): AsyncIterableIterator<unknown, undefined> {
    this.#queue ??= new MessageQueue(this, this.#hasStarted)
    const iteration = this.#queue.iterate()
    this.open(PauseReason.Start)
    return iteration
  }

  /** Somebody listens for 'message'. */
  handleListener (): void {
    this.open(PauseReason.Start)
    if (this.#queue !== null && this.#queue.isHolding) this.handleHeld()
  }

  setCongested (isCongested: boolean): void {
    if (isCongested) {
      this.shut(PauseReason.Congestion)
    } else {
      this.open(PauseReason.Congestion)
      this.#queue?.deliver()
    }
  }

  /** This side has closed the connection: no message goes anywhere from now on. */
  mute (): void {
    this.#isMuted = true
    this.#queue?.clear()
    this.#passNext()
  }

  /** The peer has closed the connection, or broken the protocol: ws takes no more messages. */
  stop (): void {
    this.#paced?.free()
  }

  /** Nothing comes any more; what waits is handed out all the same. */
  end (): void {
    if (this.#queue === null) this.#owner.handleIdle()
    else this.#queue.end()
  }

  /** `onClose` is about to be called: `onMessage` is not called any more. */
  retire (): void {
    this.#queue?.retire()
  }

  // ---- for the queue ----------------------------------------------------------------------------------------------------

  decode (data: RawData, isBinary: boolean): unknown {
    return this.#owner.route.messages.decode(data, isBinary)
  }

  callOnMessage (message: unknown): unknown {
    return this.#owner.route.callbacks.callOnMessage(this.connection, message)
  }

  fail (error: unknown): void {
    this.#owner.fail(error)
  }

  setReading (isReading: boolean): void {
    if (!isReading) {
      this.shut(PauseReason.MessageQueue)
      return
    }
    this.open(PauseReason.MessageQueue)
    this.#passNext()
  }

  iterationError (): Error | null {
    return this.#owner.iterationError()
  }

  handleIdle (): void {
    this.#owner.handleIdle()
  }

  handleHeld (): void {
    nextTick(() => this.#handOver())
  }

  #deliver (data: RawData, isBinary: boolean): boolean {
    const size = sizeOf(data)
    const { received } = this.#owner.route.traffic
    this.#messages++
    this.#bytes += size
    received.messages++
    received.bytes += size
    if (receivedChannel.hasSubscribers) receivedChannel.publish({ connection: this.connection, data, isBinary })
    const isHolding = this.#queue !== null && this.#queue.isHolding
    const hasListener = !isHolding && this.connection.notifyMessage(data, isBinary)
    if (this.hasOnMessage) this.#queue ??= new MessageQueue(this, this.#hasStarted)
    // A listener may have closed the connection.
    if (this.#queue !== null && !this.#isMuted && (!hasListener || this.#queue.isWanted)) this.#queue.push(data, isBinary, hasListener)
    return hasListener
  }

  #passNext (): void {
    if (!this.#isNextDue) return
    this.#isNextDue = false
    this.#paced?.next()
  }

  // While there is a listener, in their order. What a listener has seen beside an iteration was for it.
  #handOver (): void {
    while (this.connection.listenerCount('message') > 0) {
      const message = this.#queue?.takeHeld()
      if (message === undefined) return
      if (!message.wasSeen) this.connection.notifyMessage(message.data, message.isBinary)
    }
  }
}
