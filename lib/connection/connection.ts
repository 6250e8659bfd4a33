// A WebSocket of ws, from the first moment of its handshake on: as long as that lasts the handshake decides, then the
// session. Nothing that a listener throws gets back into ws, where it would end the process or the connection's state.
import type { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { type RawData, WebSocket } from 'ws'
import { FST_ERR_WS_HANDSHAKE_SETTLED, FST_ERR_WS_NOT_OPEN } from '../errors.ts'
import { kUnsent } from '../seams/server-websocket.ts'
import { kSession } from '../symbols.ts'
import { catchUp } from '../topics/fan-out.ts'
import type { ConnectionRoute, Transport } from './connection-route.ts'
import { Session } from './session.ts'
import { SubscribingWebSocket } from './subscribing-websocket.ts'

/** What a connection needs of the handshake that it is in. */
export interface ConnectionHandshake {
  readonly route: ConnectionRoute
  /** The callbacks run in the asynchronous context of the handshake. */
  readonly scope: AsyncResource
  accept (options: unknown): void
  reject (options: unknown): void
  close (code: number | undefined, reason: string | Buffer | undefined): void
  drop (): void
  /** Whether the connection is to be paused when it opens. */
  isPaused: boolean
  /** On what ws opens the connection. */
  readonly transport: Transport | null
}

type Listener = (...args: any[]) => void // as @types/node has it

/** What a connection that has opened is within. */
export function sessionOf (connection: Connection): Session {
  return connection[kSession] as Session
}

export class Connection extends SubscribingWebSocket {
  static #lastId = 0
  readonly #id = ++Connection.#lastId
  readonly #request: FastifyRequest
  readonly #offeredProtocols: readonly string[]
  #handshake: ConnectionHandshake | null
  #session: Session | null = null

  constructor (request: FastifyRequest, handshake: ConnectionHandshake, offeredProtocols: readonly string[]) {
    super(handshake.route.options.closeTimeout)
    this.#request = request
    this.#handshake = handshake
    this.#offeredProtocols = offeredProtocols
  }

  /** For the rest of lib: nothing of it has a name that a user could use for something else. @internal */
  get [kSession] (): Session | null {
    return this.#session
  }

  get id (): number {
    return this.#id
  }

  get request (): FastifyRequest {
    return this.#request
  }

  get offeredProtocols (): readonly string[] {
    return this.#offeredProtocols
  }

  get data (): object | undefined {
    return this.#session?.data
  }

  get log (): FastifyBaseLogger {
    return this.#request.log
  }

  get signal (): AbortSignal {
    return this.#mustBeOpen('signal', 'conn.request.signal is that of the handshake').signal
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
    const message = session.route.messages.encode(value)
    catchUp(session)
    session.outgoing.sendMessage(message)
    return this.readyState === WebSocket.OPEN && !session.isCongested
  }

  async drained (): Promise<void> {
    await this.#mustBeOpen('drained', 'send in onConnection').drained()
  }

  override send (data: unknown, options?: unknown, callback?: unknown): void {
    const session = this.#mustBeOpen('send', 'send in onConnection')
    catchUp(session)
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
    if (this.#session === null) {
      this.#handshake?.close(code, reason)
      return
    }
    catchUp(this.#session)
    this.#session.close(code, reason)
  }

  override terminate (): void {
    if (this.#session !== null) this.#session.terminate('server')
    else this.#handshake?.drop()
  }

  override pause (): void {
    super.pause()
    if (this.#handshake !== null) this.#handshake.isPaused = true
  }

  override resume (): void {
    super.resume()
    this.#session?.incoming.deliver()
    if (this.#handshake !== null) this.#handshake.isPaused = false
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
      if (event !== 'open') return super.emit(event, ...args)
      return this.#open().notify(event, args)
    }
    const hasListener = this.#emit(session, event, args)
    if (event === 'message' || event === 'ping' || event === 'pong') session.noteHandled()
    if (event === 'close') session.finish()
    return hasListener
  }

  #emit (session: Session, event: string | symbol, args: never[]): boolean {
    switch (event) {
      case 'message': return session.incoming.receive(args[0] as unknown as RawData, args[1] as unknown as boolean)
      case 'ping': session.incoming.answerPing(args[0] as unknown as Buffer); break
      case 'pong': session.handlePong(args[0] as unknown as Buffer); break
      case 'error': session.handleError(Object(args[0])); break
      case 'close': session.handleGone(args[0] as unknown as number, args[1] as unknown as Buffer); break
    }
    return session.notify(event, args)
  }

  /** @internal */
  get [kUnsent] (): number {
    return this.#session === null ? 0 : this.#session.outgoing.size
  }

  [Symbol.asyncIterator] (): AsyncIterableIterator<unknown, undefined> {
    return this.#mustBeOpen('[Symbol.asyncIterator]', 'iterate in onConnection').incoming.iterate()
  }

  override [EventEmitter.captureRejectionSymbol] (...[error]: unknown[]): void {
    this.#session?.fail(error)
  }

  #open (): Session {
    // ws opens it within the handshake.
    const { isPaused, route, scope, transport } = this.#handshake as ConnectionHandshake
    this.#handshake = null
    const session = new Session(this, route, scope, transport as Transport)
    this.#session = session
    // The watch of the handshake may have paused the socket.
    if (isPaused) super.pause()
    else super.resume()
    return session
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
