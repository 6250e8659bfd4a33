// The life of an open connection, from the 101 to onClose: what it is told, and who is told of it.
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import type { ConnectionClose } from '../../types/close.ts'
import { closeChannel, errorChannel } from '../channels.ts'
import { CloseCode, protocolCloseCode } from '../close-codes.ts'
import { FrameScanner } from '../receive/frame-scanner.ts'
import { Incoming, type IncomingOwner } from '../receive/incoming.ts'
import { Outgoing, type OutgoingOwner } from '../send/outgoing.ts'
import { isThenable } from '../thenable.ts'
import { readFacts } from '../thrown.ts'
import { clearTimeout, now, setTimeout } from '../timers.ts'
import { checkClose, closedError, iterationError, NETWORK_CLOSE, toText } from './closing.ts'
import type { ConnectionRoute, Transport } from './connection-route.ts'
import type { Connection } from './connection.ts'
import { Liveness, type LivenessOwner } from './liveness.ts'

// The connection overrides these, and its overrides lead here.
const { close, ping, terminate } = WebSocket.prototype

const NONE = Symbol('no error')

// Open ─→ Gone: the socket is ─→ Ending: the listeners for 'close' have been told ─→ Over: `onClose` was called
const Phase = { Open: 'open', Gone: 'gone', Ending: 'ending', Over: 'over' } as const
type SessionPhase = typeof Phase[keyof typeof Phase]

const kSession = Symbol('fastify-websocket-route.session')

declare module 'node:stream' {
  interface Duplex { [kSession]?: Session }
}

export class Session implements IncomingOwner, OutgoingOwner, LivenessOwner {
  readonly incoming: Incoming
  readonly outgoing: Outgoing
  readonly connection: Connection
  readonly frames: FrameScanner
  readonly #socket: Socket
  readonly #bytesAtOpen: number
  readonly #openedAt = Math.floor(now()) // other numbers are objects of their own (bench/memory.ts)
  #closingAt = 0
  #close: ConnectionClose | null = null // as decided by the first close frame that either side sends
  #abort: AbortController | null = null // from when its signal is asked for
  #phase: SessionPhase = Phase.Open
  #liveness: Liveness | null = null // until the first beat
  // `await once(conn, 'message')` in a callback throws it once more.
  #peerError: object | typeof NONE = NONE
  #lastCall: NodeJS.Timeout | null = null

  constructor (connection: Connection, { socket, paced, deflate }: Transport) {
    this.#socket = socket
    this.#bytesAtOpen = socket.bytesRead
    this.connection = connection
    const stream = paced ?? socket
    stream[kSession] = this
    // Before ws, which sends all that waits, and acts on a close frame.
    stream.prependListener('end', streamOnEnd)
    this.frames = paced?.frames ?? new FrameScanner()
    if (paced === null) stream.prependListener('data', streamOnData)
    else socket.on('close', () => this.#abort?.abort(closedError(this.#result)))
    this.incoming = new Incoming(this, paced)
    this.outgoing = new Outgoing(this, stream, deflate)
  }

  /** Runs `onConnection`, unless this side has closed the connection before, and lets the messages come when it has settled. */
  start (): void {
    if (this.#close?.initiator === 'server') return this.#handleStarted()
    try {
      const result = this.route.callbacks.callOnConnection(this.connection)
      if (!isThenable(result)) return this.#handleStarted()
      Promise.resolve(result).then(() => this.#handleStarted(), (error: unknown) => {
        this.fail(error)
        this.#handleStarted()
      })
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

  get signal (): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.connection.readyState !== WebSocket.OPEN) this.#abort.abort(closedError(this.#result))
    return this.#abort.signal
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

  /** A chunk of what the peer sends, before ws has it. */
  handleChunk (chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) at = this.frames.scan(chunk, at)
  }

  /** The peer has ended its side, and ws is about to end this one, behind what waits to be sent. */
  handleHalfClose (): void {
    this.outgoing.flush()
    // Without a close frame ws sets no time for it, and the peer may not read any more.
    if (this.connection.readyState === WebSocket.OPEN && this.outgoing.stream.writableLength > 0) this.#socket.setTimeout(this.route.options.closeTimeout, () => this.handleLoss())
  }

  /** A user closes the connection, or ws does: for the peer's close frame, or because the peer has broken the protocol. */
  close (code: number | undefined, reason: string | Buffer | undefined): void {
    const isAnswer = this.frames.takeClose()
    const isOpen = this.connection.readyState === WebSocket.OPEN
    if (isOpen) checkClose(code, reason)
    if (isAnswer) this.incoming.stop()
    // Closing, and undecided: ws reads what the socket has left behind, and may find a close frame there.
    else if (isOpen || this.#close !== null) this.incoming.mute(true)
    if (!isOpen) {
      close.call(this.connection)
      return
    }
    this.#decide({ code: code ?? CloseCode.NoStatusReceived, reason: toText(reason), initiator: isAnswer ? 'peer' : 'server' })
    this.outgoing.settle()
    close.call(this.connection, code, reason)
    this.incoming.openForClose()
  }

  terminate (initiator: 'server' | 'network'): void {
    if (initiator === 'server') this.incoming.mute(true)
    if (this.#phase !== Phase.Open) return
    this.#decide({ code: CloseCode.AbnormalClosure, reason: '', initiator })
    this.outgoing.flush()
    terminate.call(this.connection)
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
      this.#peerError = Object.assign(error, { closeCode })
      // What came before it is for onMessage, unless it was this side that had closed.
      if (this.#close?.code === closeCode) this.incoming.mute(false)
      // A close frame may be what is wrong.
      if (this.#close === null || this.#close.initiator === 'peer') this.#close = { code: closeCode, reason: '', initiator: 'server' }
      this.incoming.stop()
    }
    this.fail(error)
  }

  /** The socket is gone. The listeners for 'close' are told after this, and `onClose` after them. */
  handleGone (code: number, reason: Buffer): void {
    this.#phase = Phase.Gone
    // A callback may have closed it when the close frame of the peer had come, and ws had not dealt with it yet.
    if (this.#close?.initiator === 'peer' && code !== CloseCode.AbnormalClosure) this.#close = { code, reason: toText(reason), initiator: 'peer' }
    this.#decide(NETWORK_CLOSE)
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

  /** Calls `onClose` when `onConnection` and `onMessage` have settled, and at the latest `closeTimeout` after the close began. */
  finish (): void {
    this.#phase = Phase.Ending
    this.incoming.end()
    if (this.#phase !== Phase.Ending) return
    this.route.handleEnding(this.connection)
    const left = this.route.options.closeTimeout - (now() - this.#closingAt)
    this.#lastCall = setTimeout(() => this.#conclude(), left).unref()
  }

  // ---- for incoming, outgoing and liveness ------------------------------------------------------------------------------

  get stream (): Duplex {
    return this.outgoing.stream
  }

  get isCongested (): boolean {
    return this.outgoing.isCongested
  }

  get isDeaf (): boolean {
    return this.incoming.isShut
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

  handleDiscarded (): void {
    const { id: connId, log } = this.connection
    log.debug({ connId }, 'A WebSocket message is discarded: there is no onMessage, no listener for "message" and no iteration')
  }

  sendPing (data: Buffer): void {
    this.outgoing.settle()
    ping.call(this.connection, data, false)
  }

  sendPong (data: Buffer): void {
    this.outgoing.cork()
    this.outgoing.sendControl('pong', data, undefined)
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

  // From now on the connection is closing.
  #decide (result: ConnectionClose): void {
    if (this.#close !== null) return
    this.#close = result
    this.#closingAt = Math.floor(now())
    this.#abort?.abort(closedError(result))
  }
}

function streamOnData (this: Duplex, chunk: Buffer): void {
  this[kSession]?.handleChunk(chunk)
}

function streamOnEnd (this: Duplex): void {
  this[kSession]?.handleHalfClose()
}
