// A WebSocket of ws, from the first moment of its handshake on: as long as that lasts the handshake decides, then the
// session. Nothing that a listener throws gets back into ws, where it would end the process or the connection's state.
import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { type RawData, WebSocket } from 'ws'
import { FST_ERR_WS_HANDSHAKE_SETTLED, FST_ERR_WS_NOT_OPEN } from '../errors.ts'
import { PauseReason } from '../receive/read-gate.ts'
import type { FramedMessage } from '../send/framed-message.ts'
import { catchUp } from '../topics/fan-out.ts'
import type { ConnectionRoute, Reservation, Transport } from './connection-route.ts'
import { Session } from './session.ts'
import { SubscribingWebSocket } from './subscribing-websocket.ts'

/** What a connection needs of the handshake that it is in. */
export interface ConnectionHandshake {
  accept (options: unknown): void
  reject (options: unknown): void
  close (code: number | undefined, reason: string | Buffer | undefined): void
  drop (): void
  /** Whether the connection is to be paused when it opens. */
  setPaused (isPaused: boolean): void
  readonly isPaused: boolean
  /** On what ws opens the connection. */
  readonly transport: Transport | null
}

type Listener = (...args: any[]) => void // as @types/node has it

// The connection overrides it.
const { emit } = EventEmitter.prototype

export class Connection extends SubscribingWebSocket {
  static #lastId = 0
  readonly id: number = ++Connection.#lastId
  readonly request: FastifyRequest
  readonly offeredProtocols: readonly string[]
  /** What it counts for among the limits. @internal */
  reservation: Reservation | null = null
  readonly route: ConnectionRoute
  lanePlace = 0
  dueAt = 0
  // The callbacks run in the asynchronous context of the handshake.
  readonly #scope = new AsyncResource('WebSocketConnection')
  #handshake: ConnectionHandshake | null
  #session: Session | null = null

  constructor (request: FastifyRequest, handshake: ConnectionHandshake, offeredProtocols: readonly string[], route: ConnectionRoute) {
    // ws documents no way to make a server's WebSocket but its own; @types/ws knows the address `null`, not the rest.
    super(null as unknown as string, undefined, { autoPong: false, closeTimeout: route.options.closeTimeout } as object)
    // What an async listener rejects with is an error of the connection too.
    EventEmitter.call(this as EventEmitter, { captureRejections: true })
    this.request = request
    this.#handshake = handshake
    this.offeredProtocols = offeredProtocols
    this.route = route
  }

  get log (): FastifyBaseLogger {
    return this.request.log
  }

  get latency (): number | undefined {
    return this.#session?.latency
  }

  acceptWith (options?: unknown): void {
    if (this.#handshake === null) throw FST_ERR_WS_HANDSHAKE_SETTLED('acceptWith', 'accepted')
    this.#handshake.accept(options)
  }

  reject (options?: unknown): void {
    if (this.#handshake === null) throw FST_ERR_WS_HANDSHAKE_SETTLED('reject', 'accepted')
    this.#handshake.reject(options)
  }

  sendMessage (value?: unknown): boolean {
    const session = this.#mustBeOpen('sendMessage', 'send in onConnection')
    const message = this.route.messages.encode(value)
    catchUp(this)
    session.outgoing.sendMessage(message)
    return this.readyState === WebSocket.OPEN && !session.isCongested
  }

  async drained (): Promise<void> {
    await this.#mustBeOpen('drained', 'send in onConnection').drained()
  }

  override send (data: unknown, options?: unknown, callback?: unknown): void {
    const session = this.#mustBeOpen('send', 'send in onConnection')
    catchUp(this)
    if (typeof options === 'function') session.outgoing.send(data, undefined, options)
    else session.outgoing.send(data, options, callback)
  }

  override ping (data?: unknown, mask?: unknown, callback?: unknown): void {
    this.#sendControl('ping', data, mask, callback)
  }

  override pong (data?: unknown, mask?: unknown, callback?: unknown): void {
    this.#sendControl('pong', data, mask, callback)
  }

  override close (code?: number, reason?: string | Buffer): void {
    catchUp(this)
    if (this.#session !== null) this.#session.close(code, reason)
    else this.#handshake?.close(code, reason)
  }

  override terminate (): void {
    if (this.#session !== null) this.#session.terminate('server')
    else this.#handshake?.drop()
  }

  override pause (): void {
    this.#session?.incoming.shut(PauseReason.User)
    this.#handshake?.setPaused(true)
  }

  override resume (): void {
    this.#session?.incoming.open(PauseReason.User)
    this.#handshake?.setPaused(false)
  }

  override on (event: string | symbol, listener: Listener): this {
    return this.#addListener(super.on, event, listener)
  }

  override addListener (event: string | symbol, listener: Listener): this {
    return this.#addListener(super.addListener, event, listener)
  }

  override prependListener (event: string | symbol, listener: Listener): this {
    return this.#addListener(super.prependListener, event, listener)
  }

  override emit (event: string | symbol, ...args: never[]): boolean {
    const session = this.#session
    if (session === null) {
      if (event === 'open') this.#open()
      return this.notify(event, ...args)
    }
    if (event === 'close' && session.farewell?.hold(args) === true) return true
    switch (event) {
      case 'message': return session.incoming.receive(args[0] as unknown as RawData, args[1] as unknown as boolean)
      case 'ping': session.incoming.answerPing(args[0] as unknown as Buffer); break
      case 'pong': session.handlePong(args[0] as unknown as Buffer); break
      case 'error': session.handleError(Object(args[0])); break
      case 'close': session.handleGone(); break
      default: return this.notify(event, ...args)
    }
    const hasListener = this.run(this.notify, this as Connection, event, ...args)
    if (event === 'close') session.finish()
    return hasListener
  }

  [Symbol.asyncIterator] (): AsyncIterableIterator<unknown, undefined> {
    return this.#mustBeOpen('[Symbol.asyncIterator]', 'iterate in onConnection').incoming.iterate()
  }

  override [EventEmitter.captureRejectionSymbol] (...[error]: unknown[]): void {
    this.#session?.fail(error)
  }

  // ---- for the rest of lib ----------------------------------------------------------------------------------------------

  /** Runs `onConnection`. @internal */
  start (): void {
    this.#session?.start()
  }

  /** Sends a message that goes to many. What was published before is not looked at. @internal */
  override deliver (message: FramedMessage): void {
    this.#session?.outgoing.sendFramed(message)
  }

  /** Bytes that wait for the end of the turn. @internal */
  get unsent (): number {
    return this.#session === null ? 0 : this.#session.outgoing.size
  }

  /** Whether the socket is there although ws has done with it. @internal */
  get isHoldingClose (): boolean {
    return this.#session?.farewell?.isHolding === true
  }

  /** A heartbeat. @internal */
  beat (interval: number): void {
    this.#session?.beat(interval)
  }

  /** Calls a function in the asynchronous context of the handshake. @internal */
  run<This, Args extends unknown[], Result> (callback: (this: This, ...args: Args) => Result, thisArgument: This, ...args: Args): Result {
    return this.#scope.runInAsyncScope<This, Result>(callback as (this: This, ...args: unknown[]) => Result, thisArgument, ...args)
  }

  /** Tells the listeners of a message. @internal */
  notifyMessage (data: RawData, isBinary: boolean): boolean {
    if (this.listenerCount('message') === 0) return false
    try {
      return this.#scope.runInAsyncScope(emit, this, 'message', data, isBinary)
    } catch (error) {
      this.#session?.fail(error)
      return true
    }
  }

  /** Tells the listeners of an event. @internal */
  notify (event: string | symbol, ...args: unknown[]): boolean {
    // Without one it would throw: all errors have gone to onError.
    if (event === 'error' && this.listenerCount('error') === 0) return false
    try {
      return super.emit(event, ...args)
    } catch (error) {
      if (this.#session === null) throw error
      this.#session.fail(error)
      return true
    }
  }

  #open (): void {
    // ws opens it within the handshake.
    const { transport, isPaused } = this.#handshake as ConnectionHandshake
    this.#handshake = null
    this.#session = new Session(this, transport as Transport)
    if (isPaused) this.#session.incoming.shut(PauseReason.User)
  }

  // once() and addEventListener() come by here too.
  #addListener (add: (this: WebSocket, ...args: [event: string | symbol, listener: Listener]) => unknown, event: string | symbol, listener: Listener): this {
    add.call(this, event, listener)
    if (event === 'message') this.#session?.incoming.handleListener()
    return this
  }

  #mustBeOpen (method: string, hint: string): Session {
    if (this.#session === null) throw FST_ERR_WS_NOT_OPEN(method, hint)
    return this.#session
  }

  // ws takes the callback in any of the three places.
  #sendControl (kind: 'ping' | 'pong', data: unknown, mask: unknown, callback: unknown): void {
    const { outgoing } = this.#mustBeOpen(kind, `${kind} in onConnection`)
    if (typeof data === 'function') outgoing.sendControl(kind, undefined, undefined, data)
    else if (typeof mask === 'function') outgoing.sendControl(kind, data, undefined, mask)
    else outgoing.sendControl(kind, data, mask, callback)
  }
}
