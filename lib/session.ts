// The life of an open connection, from the 101 to onClose: what becomes of its events, and who is told.
import type { Duplex } from 'node:stream'
import { type RawData, WebSocket } from 'ws'
import type { ConnectionClose } from '../types/close.ts'
import { CloseCode, protocolCloseCode } from './close-codes.ts'
import { checkClose, Closing } from './closing.ts'
import type { Connection } from './connection.ts'
import type { ConnectionRoute, Transport } from './connection-route.ts'
import { Inbox, type InboxOwner } from './inbox.ts'
import { sizeOf } from './message-size.ts'
import { Outbox, type OutboxOwner } from './outbox.ts'
import type { PacedStream } from './paced-stream.ts'
import { Pongs } from './pongs.ts'
import { Pulse, type PulseOwner } from './pulse.ts'
import { PauseReason, ReadGate } from './read-gate.ts'
import { isThenable } from './thenable.ts'

// The connection overrides these, and its overrides lead here.
const { close, ping, pong, terminate } = WebSocket.prototype

export class Session implements InboxOwner, OutboxOwner, PulseOwner {
  readonly hasOnMessage: boolean
  readonly highWaterMark: number
  readonly maxBufferedAmount: number
  readonly outbox: Outbox
  readonly pulse: Pulse
  readonly gate: ReadGate
  readonly #connection: Connection
  readonly #route: ConnectionRoute
  readonly #paced: PacedStream | null
  readonly #stream: Duplex
  readonly #closing = new Closing()
  readonly #openedAt = performance.now()
  readonly #received = { messages: 0, bytes: 0 }
  #inbox: Inbox | null = null
  #pongs: Pongs | null = null
  #hasStarted = false
  #isGone = false
  #lastCall: NodeJS.Timeout | null = null

  constructor (connection: Connection, route: ConnectionRoute, { socket, paced }: Transport, isPausedByUser: boolean) {
    this.hasOnMessage = route.callbacks.hasOnMessage
    this.highWaterMark = route.options.highWaterMark
    this.maxBufferedAmount = route.options.maxBufferedAmount
    this.#connection = connection
    this.#route = route
    this.#paced = paced
    this.#stream = paced ?? socket
    this.gate = new ReadGate(connection, isPausedByUser ? PauseReason.Start | PauseReason.User : PauseReason.Start)
    this.outbox = new Outbox(this, connection, this.#stream)
    this.pulse = new Pulse(this, socket)
  }

  get isCongested (): boolean {
    return this.outbox.isCongested
  }

  get isDeaf (): boolean {
    return this.gate.isShut
  }

  /** Runs `onConnection`, and lets the messages come when it has settled. */
  start (): void {
    try {
      const result = this.#route.callbacks.callOnConnection(this.#connection)
      if (!isThenable(result)) return this.#handleStarted()
      Promise.resolve(result).then(this.#handleStarted, (error: unknown) => {
        this.fail(error)
        this.#handleStarted()
      })
      // It may have been there since onHandshake.
      if (this.#connection.listenerCount('message') > 0) this.gate.open(PauseReason.Start)
    } catch (error) {
      this.fail(error)
      this.#handleStarted()
    }
  }

  fail (error: unknown): void {
    this.#route.callbacks.handleError(this.#connection, error)
  }

  // ---- what comes in ----------------------------------------------------------------------------------------------------

  /** Takes a message, and returns whether somebody listened for it. */
  receive (data: RawData, isBinary: boolean): boolean {
    const hasListener = !this.#closing.isOurs && this.#deliver(data, isBinary)
    this.#paced?.next()
    return hasListener
  }

  iterate (): AsyncIterableIterator<unknown, undefined> {
    this.#inbox ??= new Inbox(this, this.#hasStarted)
    const iteration = this.#inbox.iterate()
    this.gate.open(PauseReason.Start)
    return iteration
  }

  /** Somebody listens for 'message'. */
  handleListener (): void {
    this.gate.open(PauseReason.Start)
    if (this.#inbox !== null && this.#inbox.isHolding) process.nextTick(this.#handOver)
  }

  answerPing (data: Buffer): void {
    if (this.#connection.readyState !== WebSocket.OPEN) return
    this.#pongs ??= new Pongs((payload, callback) => pong.call(this.#connection, payload, false, callback))
    this.#pongs.answer(data)
  }

  async drained (): Promise<void> {
    if (this.#connection.readyState !== WebSocket.OPEN) throw this.#closing.error()
    await this.outbox.drained()
  }

  beat (interval: number): void {
    if (this.#connection.readyState === WebSocket.OPEN) this.pulse.beat(interval)
  }

  // ---- the end ----------------------------------------------------------------------------------------------------------

  close (code: number | undefined, reason: string | Buffer | undefined): void {
    checkClose(code, reason)
    if (this.#connection.readyState === WebSocket.OPEN) {
      // ws answers a close frame by the same method, when it has ceased to listen to what comes.
      const initiator = this.#stream.listenerCount('data') === 0 ? 'peer' : 'server'
      if (initiator === 'peer') this.#paced?.free()
      this.#decide({ code: code ?? CloseCode.NoStatusReceived, reason: reason === undefined ? '' : Buffer.from(reason as string).toString(), initiator })
    }
    close.call(this.#connection, code, reason)
    this.gate.openForGood()
  }

  terminate (initiator: 'server' | 'network'): void {
    this.#decide({ code: CloseCode.AbnormalClosure, reason: '', initiator })
    terminate.call(this.#connection)
  }

  /** An 'error' event: ws has closed the connection, or the application has emitted it. */
  handleError (error: object): void {
    const closeCode = protocolCloseCode(error)
    if (closeCode !== undefined) {
      this.#closing.decideByError(closeCode)
      Object.assign(error, { closeCode })
    }
    this.fail(error)
  }

  /** The socket is gone. The listeners for 'close' are told after this, and `onClose` after them. */
  handleGone (): void {
    this.#isGone = true
    this.outbox.end(() => this.#closing.error())
    this.#route.handleGone(this.#connection)
    const { id: connId, log } = this.#connection
    const duration = performance.now() - this.#openedAt
    log.info({ connId, ...this.#closing.result, duration, received: this.#received, sent: this.outbox.sent }, 'WebSocket closed')
  }

  /** Calls `onClose` when `onConnection` and `onMessage` have settled, and at the latest after `closeTimeout`. */
  finish (): void {
    this.#lastCall = setTimeout(this.#conclude, this.#route.options.closeTimeout).unref()
    if (this.#inbox === null) this.handleIdle()
    else this.#inbox.end()
  }

  // ---- for inbox, outbox and pulse --------------------------------------------------------------------------------------

  decode (data: RawData, isBinary: boolean): unknown {
    return this.#route.messages.decode(data, isBinary)
  }

  callOnMessage (message: unknown): unknown {
    return this.#route.callbacks.callOnMessage(this.#connection, message)
  }

  setReading (isReading: boolean): void {
    if (isReading) this.gate.open(PauseReason.Inbox)
    else this.gate.shut(PauseReason.Inbox)
  }

  setCongested (isCongested: boolean): void {
    if (isCongested) {
      this.gate.shut(PauseReason.Congestion)
    } else {
      this.pulse.relieve()
      this.gate.open(PauseReason.Congestion)
      this.#inbox?.deliver()
    }
  }

  handleSlowConsumer (error: Error): void {
    this.terminate('server')
    this.fail(error)
  }

  iterationError (): Error | null {
    return this.#closing.iterationError()
  }

  handleIdle (): void {
    if (this.#hasStarted && (this.#inbox === null || this.#inbox.isIdle)) this.#conclude()
  }

  sendPing (data: Buffer): void {
    ping.call(this.#connection, data, false)
  }

  handleLoss (): void {
    this.terminate('network')
  }

  #deliver (data: RawData, isBinary: boolean): boolean {
    this.#received.messages++
    this.#received.bytes += sizeOf(data)
    const isHeld = this.#inbox !== null && this.#inbox.isHolding
    const hasListener = !isHeld && this.#connection.notifyMessage(data, isBinary)
    if (this.hasOnMessage) this.#inbox ??= new Inbox(this, this.#hasStarted)
    if (this.#inbox !== null && (!hasListener || this.#inbox.isWanted)) this.#inbox.push(data, isBinary)
    return hasListener
  }

  readonly #handleStarted = (): void => {
    this.#hasStarted = true
    this.#inbox?.start()
    this.gate.open(PauseReason.Start)
    if (this.#isGone) this.handleIdle()
  }

  // While there is a listener, in their order.
  readonly #handOver = (): void => {
    while (this.#connection.listenerCount('message') > 0) {
      const message = this.#inbox?.takeHeld()
      if (message === undefined) return
      this.#connection.notifyMessage(message.data, message.isBinary)
    }
  }

  readonly #conclude = (): void => {
    if (this.#lastCall === null) return
    clearTimeout(this.#lastCall)
    this.#lastCall = null
    this.#route.callbacks.callOnClose(this.#connection, this.#closing.result)
  }

  #decide (result: ConnectionClose): void {
    this.#closing.decide(result)
    if (this.#closing.isOurs) this.#inbox?.clear()
  }
}
