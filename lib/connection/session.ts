// The life of an open connection, from the 101 to onClose: what it is told, and who is told of it.
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import type { ConnectionClose } from '../../types/close.ts'
import { closeChannel, errorChannel } from '../channels.ts'
import { CloseCode, protocolCloseCode } from '../close-codes.ts'
import { Incoming, type IncomingOwner } from '../receive/incoming.ts'
import { PauseReason } from '../receive/read-gate.ts'
import { Outgoing, type OutgoingOwner } from '../send/outgoing.ts'
import { isThenable } from '../thenable.ts'
import { readFacts } from '../thrown.ts'
import { checkClose, closedError, iterationError, NETWORK_CLOSE, toText } from './closing.ts'
import type { ConnectionRoute, Transport } from './connection-route.ts'
import type { Connection } from './connection.ts'
import { Farewell } from './farewell.ts'
import { Liveness, type LivenessOwner } from './liveness.ts'
import { type EndOwner, takeEnd } from './stream-end.ts'
import { clearTimeout, now, setTimeout } from '../timers.ts'

// The connection overrides these, and its overrides lead here.
const { close, ping, terminate } = WebSocket.prototype

const NONE = Symbol('no error')

// Open ─→ Gone: the socket is ─→ Ending: the listeners for 'close' have been told ─→ Over: `onClose` was called
const Phase = { Open: 'open', Gone: 'gone', Ending: 'ending', Over: 'over' } as const
type SessionPhase = typeof Phase[keyof typeof Phase]

export class Session implements EndOwner, IncomingOwner, OutgoingOwner, LivenessOwner {
  readonly incoming: Incoming
  readonly outgoing: Outgoing
  readonly connection: Connection
  farewell: Farewell | null = null // both sides have sent a close frame
  readonly #socket: Socket
  readonly #bytesAtOpen: number
  #close: ConnectionClose | null = null // as decided by the first close frame that either side sends
  readonly #openedAt = Math.floor(now()) // other numbers are objects of their own (bench/memory.ts)
  #phase: SessionPhase = Phase.Open
  #liveness: Liveness | null = null // until the first beat
  // `await once(conn, 'message')` in a callback throws it once more.
  #peerError: object | typeof NONE = NONE
  #lastCall: NodeJS.Timeout | null = null

  constructor (connection: Connection, { socket, paced, endListeners, deflate }: Transport) {
    this.#socket = socket
    this.#bytesAtOpen = socket.bytesRead
    this.connection = connection
    const stream = paced ?? socket
    takeEnd(stream, endListeners, this)
    this.incoming = new Incoming(this, paced)
    this.outgoing = new Outgoing(this, stream, deflate)
  }

  /** Runs `onConnection`, and lets the messages come when it has settled. */
  start (): void {
    try {
      const result = this.route.callbacks.callOnConnection(this.connection)
      if (!isThenable(result)) return this.#handleStarted()
      Promise.resolve(result).then(() => this.#handleStarted(), (error: unknown) => {
        this.fail(error)
        this.#handleStarted()
      })
      // It may have been there since onHandshake.
      if (this.connection.listenerCount('message') > 0) this.incoming.open(PauseReason.Start)
    } catch (error) {
      this.fail(error)
      this.#handleStarted()
    }
  }

  async drained (): Promise<void> {
    if (this.connection.readyState !== WebSocket.OPEN) throw closedError(this.#result)
    await this.outgoing.drained()
  }

  get route (): ConnectionRoute {
    return this.connection.route
  }

  get latency (): number | undefined {
    return this.#liveness?.latency
  }

  beat (interval: number): void {
    if (this.connection.readyState !== WebSocket.OPEN) return
    this.#liveness ??= new Liveness(this, this.#socket, this.#bytesAtOpen)
    this.#liveness.beat(interval)
  }

  fail (error: unknown): void {
    if (errorChannel.hasSubscribers) errorChannel.publish({ connection: this.connection, error })
    this.route.callbacks.handleError(this.connection, error, error === this.#peerError)
  }

  // ---- the end ----------------------------------------------------------------------------------------------------------

  get hasExchangedCloses (): boolean {
    return this.farewell !== null
  }

  handleStreamClose (): boolean {
    return this.farewell === null || this.farewell.end()
  }

  handleHalfClose (): void {
    this.outgoing.flush()
    // The peer may not read any more.
    if (this.outgoing.stream.writableLength > 0) this.#socket.setTimeout(this.route.options.closeTimeout, () => this.handleLoss())
  }

  close (code: number | undefined, reason: string | Buffer | undefined): void {
    checkClose(code, reason)
    const { readyState } = this.connection
    // ws answers a close frame by the same method, once, when it has ceased to listen to what comes.
    const { stream } = this.outgoing
    const isAnswer = this.farewell === null && readyState !== WebSocket.CLOSED && stream.listenerCount('data') === 0
    if (isAnswer) this.farewell = new Farewell(this.connection, stream)
    if (readyState === WebSocket.OPEN) {
      const initiator = isAnswer ? 'peer' : 'server'
      if (isAnswer) this.incoming.stop()
      this.#decide({ code: code ?? CloseCode.NoStatusReceived, reason: toText(reason), initiator })
    } else if (!isAnswer) {
      // The peer was first, and messages of it may wait.
      this.incoming.mute()
    }
    this.outgoing.settle()
    close.call(this.connection, code, reason)
    // Where messages are compressed ws would drop those that are on their way.
    if (isAnswer && stream === this.#socket) this.farewell?.announceSoon(this.route.options.closeTimeout)
    this.incoming.openForGood()
  }

  terminate (initiator: 'server' | 'network'): void {
    this.#decide({ code: CloseCode.AbnormalClosure, reason: '', initiator })
    if (initiator === 'server') this.incoming.mute()
    this.outgoing.flush()
    if (this.farewell?.terminate() !== true) terminate.call(this.connection)
  }

  handlePong (data: Buffer): void {
    this.incoming.countEvent()
    this.#liveness?.handlePong(data)
  }

  /** An 'error' event: ws has closed the connection, or the application has emitted it. */
  handleError (error: object): void {
    // ws closes first.
    const closeCode = this.connection.readyState === WebSocket.OPEN ? undefined : protocolCloseCode(readFacts(error))
    if (closeCode !== undefined) {
      // That looked like an answer to a close frame.
      if (this.#close === null || this.#close.initiator === 'peer') this.#close = { code: closeCode, reason: '', initiator: 'server' }
      this.#peerError = Object.assign(error, { closeCode })
    }
    this.fail(error)
  }

  /** The socket is gone. The listeners for 'close' are told after this, and `onClose` after them. */
  handleGone (): void {
    this.#phase = Phase.Gone
    const result = this.#result
    this.outgoing.end(() => closedError(result))
    const duration = now() - this.#openedAt
    this.route.handleGone(this.connection, result.code)
    const { id: connId, log } = this.connection
    const { incoming: { received }, outgoing: { sent } } = this
    const level = this.route.options.logLevels.closed
    if (level !== 'silent') log[level]({ connId, ...result, duration, received, sent }, 'WebSocket closed')
    if (closeChannel.hasSubscribers) closeChannel.publish({ connection: this.connection, ...result, duration })
  }

  /** Calls `onClose` when `onConnection` and `onMessage` have settled, and at the latest after `closeTimeout`. */
  finish (): void {
    this.#phase = Phase.Ending
    this.incoming.end()
    if (this.#phase !== Phase.Ending) return
    this.route.handleEnding(this.connection)
    this.#lastCall = setTimeout(() => this.#conclude(), this.route.options.closeTimeout).unref()
  }

  // ---- for incoming, outgoing and pulse -------------------------------------------------------------------------------------

  get isCongested (): boolean {
    return this.outgoing.isCongested
  }

  get isDeaf (): boolean {
    return this.incoming.isShut
  }

  cork (): void {
    this.outgoing.cork()
  }

  setCongested (isCongested: boolean): void {
    if (!isCongested) this.#liveness?.relieve()
    this.incoming.setCongested(isCongested)
  }

  handleSlowConsumer (error: Error): void {
    this.terminate('server')
    this.fail(error)
  }

  iterationError (): Error | null {
    return iterationError(this.#result)
  }

  handleIdle (): void {
    if (this.incoming.hasStarted && this.incoming.isIdle) this.#conclude()
  }

  sendPing (data: Buffer): void {
    this.outgoing.settle()
    ping.call(this.connection, data, false)
  }

  handleLoss (): void {
    this.terminate('network')
  }

  get #result (): ConnectionClose {
    return this.#close ?? NETWORK_CLOSE
  }

  #handleStarted (): void {
    this.incoming.start()
    this.handleIdle()
  }

  #conclude (): void {
    if (this.#phase !== Phase.Ending) return
    this.#phase = Phase.Over
    if (this.#lastCall !== null) clearTimeout(this.#lastCall)
    this.incoming.retire()
    const route = this.route
    const connection = this.connection
    const ending = route.callbacks.callOnClose(connection, this.#result)
    if (ending === undefined) {
      route.handleEnd(connection)
      return
    }
    route.handleEnding(connection)
    void ending.then(() => route.handleEnd(connection))
  }

  #decide (result: ConnectionClose): void {
    this.#close ??= result
    if (this.#close.initiator === 'server') this.incoming.mute()
  }
}
