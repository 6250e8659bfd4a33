// One handshake, from the route's handler to the answer.
//
//              acceptWith(), or nothing called ──→ Accepted ──→ the reply is sent with 101
//   Pending ──┼ reject() ────────────────────────→ Rejected ──→ the reply is sent with the refusal
//              onHandshake throws ───────────────→ Failed ────→ the error handler answers
//
// Every check comes before the move, so that an error thrown by one leaves the handshake as it was. When the client has
// gone, or the time-out has answered, the handshake stays Pending for good and every call is a no-op.
import { AsyncResource } from 'node:async_hooks'
import { inspect } from 'node:util'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { CloseCode } from '../close-codes.ts'
import { checkClose } from '../connection/closing.ts'
import type { ConnectionCallbacks, ConnectionRoute, Transport } from '../connection/connection-route.ts'
import { Connection, type ConnectionHandshake } from '../connection/connection.ts'
import {
  FST_ERR_WS_ARGUMENT, FST_ERR_WS_HANDSHAKE_RESULT, FST_ERR_WS_HANDSHAKE_SETTLED, FST_ERR_WS_NOT_OPEN, FST_ERR_WS_PROTOCOL_NOT_OFFERED
} from '../errors.ts'
import { isThenable } from '../thenable.ts'
import { logError } from '../thrown.ts'
import type { UpgradeResponse } from '../upgrade/upgrade-response.ts'
import type { Upgrade, Upgrader } from '../upgrade/upgrader.ts'
import { type Admission, finishAbandoned } from './admission.ts'
import type { HandshakeCheck } from './handshake-check.ts'
import { checkHeaders, type HeaderFields, type Method } from './header-fields.ts'
import type { HeaderValidators } from './header-schemas.ts'
import type { Reservation } from './limits.ts'
import { refusalBody, refusalCode } from './refusal.ts'
import { chooseProtocol } from './subprotocol.ts'

/** What all handshakes of a route share. */
export interface HandshakeRoute extends ConnectionRoute {
  readonly callbacks: ConnectionCallbacks & { callOnHandshake (connection: Connection): unknown }
  readonly protocols: readonly string[]
  readonly headerValidators: HeaderValidators | undefined
  readonly upgrader: Upgrader
  handleOpen (connection: Connection, reservation: Reservation | null): void
  /** It is open, and `onHandshake` has settled: with this `data`. */
  handleStart (connection: Connection, data: object | undefined): void
}

const HandshakeState = { Pending: 'pending', Accepted: 'accepted', Rejected: 'rejected', Failed: 'failed' } as const
type State = typeof HandshakeState[keyof typeof HandshakeState]

const NO_PROTOCOLS: readonly string[] = Object.freeze([])

export class Handshake implements ConnectionHandshake, Upgrade {
  readonly connection: Connection
  protocol: string | undefined = undefined
  headerLines: readonly string[] = []
  transport: Transport | null = null
  isPaused = false
  readonly route: HandshakeRoute
  readonly scope = new AsyncResource('WebSocketConnection')
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  readonly #response: UpgradeResponse
  readonly #admission: Admission
  readonly #check: HandshakeCheck
  #state: State = HandshakeState.Pending
  #isAsync = false
  #isOpen = false
  #hasSettled = false // onHandshake
  #data: object | undefined = undefined
  #close: [code?: number | undefined, reason?: string | Buffer | undefined] | null = null // after it had accepted

  constructor (route: HandshakeRoute, request: FastifyRequest, reply: FastifyReply, response: UpgradeResponse, check: HandshakeCheck) {
    this.route = route
    this.#request = request
    this.#reply = reply
    this.#response = response
    // The first hook has made it.
    this.#admission = response.admission as Admission
    this.#check = check
    const offered = check.error === null ? check.offeredProtocols : NO_PROTOCOLS
    this.connection = new Connection(request, this, offered)
  }

  /** Runs `onHandshake` and answers. What this throws or rejects with is for the error handler. */
  run (): FastifyReply | Promise<FastifyReply> {
    try {
      const result = this.route.callbacks.callOnHandshake(this.connection)
      if (isThenable(result)) {
        this.#isAsync = true
        return this.#runAsync(result)
      }
      this.#settle(result)
    } catch (error) {
      this.#fail(error)
    }
    return this.#reply
  }

  accept (options: unknown): void {
    this.#mustBePending('acceptWith')
    if (this.#isAbandoned) return
    if (this.#check.error !== null) throw this.#check.error
    const { headers, protocol } = readArgument(options, 'acceptWith')
    const fields = checkHeaders(headers, 'acceptWith', this.route.headerValidators?.for(101))
    this.#sendAccept(fields, this.#chooseProtocol(protocol))
  }

  reject (options: unknown): void {
    this.#mustBePending('reject')
    if (this.#isAbandoned) return
    const { code: givenCode, body: givenBody, headers, logReason } = readArgument(options, 'reject')
    const code = refusalCode(givenCode, givenBody)
    const fields = checkHeaders(headers, 'reject', this.route.headerValidators?.for(code))
    const body = refusalBody(code, givenBody)
    if (logReason !== undefined && typeof logReason !== 'string') throw FST_ERR_WS_ARGUMENT('reject', 'a "logReason" that is a string', inspect(logReason))
    this.#admission.noteRejection(logReason)
    this.#send(HandshakeState.Rejected, code, fields, body)
  }

  /** Closes the connection as soon as it is open. Where it will not open there is nothing to do. */
  close (code: number | undefined, reason: string | Buffer | undefined): void {
    if (!this.#isOver) throw FST_ERR_WS_NOT_OPEN('close', 'call conn.reject() to refuse it')
    checkClose(code, reason)
    this.#close ??= [code, reason]
  }

  drop (): void {
    this.#response.abort()
  }

  // Nothing that is called from now on changes the answer.
  get #isOver (): boolean {
    return this.#state !== HandshakeState.Pending || this.#isAbandoned
  }

  // The client has left, or an answer that is not ours is on its way: the time-out's, or one of the server that closes.
  // A time-out aborts the signal before it answers. That of the server, `handlerTimeout`, is known by the signal only, and
  // to ask for a signal makes one: not before it can have been aborted.
  get #isAbandoned (): boolean {
    if (!this.#response.isPending || this.#request.raw.destroyed || this.#admission.hasExpired) return true
    return this.#isAsync && this.#request.routeOptions.handlerTimeout > 0 && this.#request.signal.aborted
  }

  #mustBePending (method: Method): void {
    if (this.#state !== HandshakeState.Pending) throw FST_ERR_WS_HANDSHAKE_SETTLED(method, this.#state)
  }

  async #runAsync (result: PromiseLike<unknown>): Promise<FastifyReply> {
    try {
      this.#settle(await result)
    } catch (error) {
      this.#fail(error)
    }
    return this.#reply
  }

  #settle (result: unknown): void {
    if (result !== undefined && (typeof result !== 'object' || result === null)) throw FST_ERR_WS_HANDSHAKE_RESULT(inspect(result))
    this.#data = result
    this.#hasSettled = true
    if (this.#state === HandshakeState.Pending) this.#answer()
    else this.#start()
  }

  #start (): void {
    if (this.#isOpen && this.#hasSettled) this.route.handleStart(this.connection, this.#data)
  }

  #answer (): void {
    if (this.#isAbandoned) {
      finishAbandoned(this.#request, this.#reply)
      return
    }
    const invalid = this.#request.validationError ?? this.#check.error
    if (invalid != null) throw refuseRequest(this.#reply, invalid)
    this.accept(undefined)
  }

  #fail (error: unknown): void {
    const { log } = this.#request
    switch (this.#state) {
      case HandshakeState.Pending:
        if (this.#isAbandoned) {
          logError(log, 'debug', { err: error }, 'onHandshake failed after the client had gone')
          finishAbandoned(this.#request, this.#reply)
          return
        }
        this.#state = HandshakeState.Failed
        this.#admission.noteError(error)
        throw error
      case HandshakeState.Accepted:
        logError(log, 'error', { err: error }, 'onHandshake failed after it had accepted the handshake')
        this.connection.close(CloseCode.InternalError)
        this.#hasSettled = true
        this.#start()
        return
      case HandshakeState.Rejected:
      case HandshakeState.Failed:
        logError(log, 'error', { err: error }, 'onHandshake failed after it had rejected the handshake')
    }
  }

  #sendAccept (fields: HeaderFields, protocol: string | undefined): void {
    const { route } = this
    this.protocol = protocol
    this.#response.completeWith((socket, head, headerLines) => {
      this.headerLines = headerLines
      if (!route.upgrader.upgrade(this.#request.raw, socket, head, this)) return false
      route.handleOpen(this.connection, this.#admission.takeReservation())
      if (this.#close !== null) this.connection.close(...this.#close)
      this.#isOpen = true
      this.#start()
      return true
    })
    this.#send(HandshakeState.Accepted, 101, fields, undefined)
  }

  #send (state: State, code: number, fields: HeaderFields, body: unknown): void {
    const { statusCode } = this.#reply
    this.#state = state
    try {
      this.#reply.code(code).headers(fields)
      this.#reply.send(body)
    } catch (error) {
      // Nothing has been written: a header that a hook set, or the body, cannot be sent.
      this.#state = HandshakeState.Pending
      this.#reply.code(statusCode)
      throw error
    }
  }

  #chooseProtocol (given: unknown): string | undefined {
    const { offeredProtocols } = this.connection
    if (given === undefined) return chooseProtocol(this.route.protocols, offeredProtocols)
    if (typeof given !== 'string' || !offeredProtocols.includes(given)) {
      throw FST_ERR_WS_PROTOCOL_NOT_OFFERED(inspect(given), offeredProtocols.length === 0 ? 'none' : offeredProtocols.join(', '))
    }
    return given
  }
}

/** Prepares the reply for an error of the request itself, so that any error handler answers with the headers that it needs. */
export function refuseRequest (reply: FastifyReply, error: Error & { headers?: Record<string, string> }): Error {
  if (error.headers !== undefined) reply.headers(error.headers)
  return error
}

function readArgument (options: unknown, method: Method): Record<string, unknown> {
  if (options === undefined) return {}
  if (typeof options === 'object' && options !== null) return options as Record<string, unknown>
  throw FST_ERR_WS_ARGUMENT(method, 'an object', inspect(options))
}
