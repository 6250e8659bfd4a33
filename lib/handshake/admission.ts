// One handshake on one of our routes, from the first hook to its answer: whether it may come in at all, and who is told
// how it ended. What is checked here is cheap, and comes before the hooks that are not.
import { STATUS_CODES } from 'node:http'
import { inspect } from 'node:util'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { HandshakeTrace } from '../../types/diagnostics.ts'
import { handshakeChannel } from '../channels.ts'
import { FST_ERR_WS_CLOSING, FST_ERR_WS_CONNECTION_KEY, FST_ERR_WS_HANDSHAKE_TIMEOUT, FST_ERR_WS_ORIGIN } from '../errors.ts'
import { abortSignal, makeSignal } from '../seams/request-signal.ts'
import type { ServerOptions } from '../server-options.ts'
import { settle, settleAll } from '../thenable.ts'
import { RETRY_AFTER } from '../upgrade/plain-http.ts'
import { type Quota, Reservation } from './limits.ts'
import type { OriginCheck } from './origin.ts'

type Next = (error?: Error) => void

/** By what a route lets handshakes in. */
export interface AdmissionRoute {
  readonly url: string
  readonly stats: { countAnswer (statusCode: number): void }
  readonly options: ServerOptions
  readonly checkOrigin: OriginCheck
  readonly quotas: readonly Quota[]
  /** Those of the quotas; empty if none counts by key. */
  readonly keyGenerators: ReadonlyArray<Quota['keyGenerator']>
}

const MAX_QUOTED_ORIGIN = 200
const UNKNOWN_ADDRESS = ''

export class Admission {
  readonly #route: AdmissionRoute
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  #reservation: Reservation | null = null
  #trace: HandshakeTrace | null = null
  #error: unknown = undefined
  #reason: string | null = null
  /** The time-out has answered, or is about to. */
  hasExpired = false
  #wrongOrigin: string | undefined = undefined

  constructor (route: AdmissionRoute, request: FastifyRequest, reply: FastifyReply) {
    this.#route = route
    this.#request = request
    this.#reply = reply
  }

  /** Lets the handshake go on to the hooks, or refuses it. */
  start (isClosing: boolean, next: Next): void {
    if (!isTraced()) {
      this.#admit(isClosing, next)
      return
    }
    const trace: HandshakeTrace = { request: this.#request, route: this.#route.url }
    this.#trace = trace
    // Stores that are bound to the channel are there for all that follows.
    handshakeChannel.start.runStores(trace, () => this.#admit(isClosing, next))
    handshakeChannel.end.publish(trace)
  }

  /** It has taken too long. */
  expire (): void {
    const error = FST_ERR_WS_HANDSHAKE_TIMEOUT(this.#route.options.handshakeTimeout)
    this.hasExpired = true
    this.noteError(error)
    this.abort()
    if (!this.#reply.sent) this.#reply.send(error)
  }

  /** What runs for it may stop: it learns so by `request.signal`. */
  abort (): void {
    abortSignal(this.#request)
  }

  /** An error is going to be answered. */
  noteError (error: unknown): void {
    const { code, message } = Object(error) as { code?: unknown, message?: unknown }
    this.#error = error
    this.#reason = String(code ?? message ?? error)
  }

  /** `conn.reject()` has decided, for a reason that it may have given. */
  noteRejection (reason = 'conn.reject()'): void {
    this.#reason = reason
  }

  /** Gives the place away to the connection that has opened. */
  takeReservation (): Reservation | null {
    // A handshake that is accepted has one.
    const reservation = this.#reservation as Reservation
    this.#reservation = null
    return reservation.keep()
  }

  /** The answer is decided: 101, the status of a refusal, or 0 if the client has left. */
  handleAnswer (statusCode: number): void {
    const { options, stats, url: route } = this.#route
    stats.countAnswer(statusCode)
    this.#reservation?.release()
    this.#reservation = null
    if (statusCode === 0) makeSignal(this.#request)
    const level = options.logLevels.refused
    if (statusCode !== 101 && statusCode !== 0 && level !== 'silent') {
      const { ip, log } = this.#request
      log[level]({ route, ip, statusCode, reason: this.#reason ?? STATUS_CODES[statusCode], origin: this.#wrongOrigin }, 'WebSocket handshake refused')
    }
    if (this.#trace !== null) this.#publishAnswer(this.#trace, statusCode)
  }

  #admit (isClosing: boolean, next: Next): void {
    if (isClosing) return this.#retryLater(FST_ERR_WS_CLOSING(), next)
    const reservation = Reservation.take(this.#route.quotas)
    if (reservation instanceof Error) return this.#retryLater(reservation, next)
    this.#reservation = reservation
    const { origin } = this.#request.headers
    if (origin === undefined) return this.#takeKeys(next)
    settle(() => this.#route.checkOrigin(origin, this.#request), (error) => this.#refuse(error, next), (isAllowed) => {
      if (isAllowed) return this.#takeKeys(next)
      this.#wrongOrigin = shorten(origin)
      this.#refuse(FST_ERR_WS_ORIGIN(JSON.stringify(this.#wrongOrigin)), next)
    })
  }

  #takeKeys (next: Next): void {
    const { keyGenerators } = this.#route
    if (keyGenerators.length === 0) return this.#goOn(next)
    settle(() => settleAll(keyGenerators.map((generate) => generate === null ? null : callGenerator(generate, this.#request))), (error) => this.#refuse(error, next), (given) => {
      const keys = hasAddress(this.#request) ? given : given.map((key) => key === undefined ? UNKNOWN_ADDRESS : key)
      const wrong = keys.findIndex((key, i) => typeof key !== 'string' && keyGenerators[i] !== null)
      if (wrong !== -1) return this.#refuse(this.#keyError(keys[wrong]), next)
      const refusal = this.#reservation?.takeKeys(keys as Array<string | null>) ?? null
      if (refusal === null) this.#goOn(next)
      else this.#retryLater(refusal, next)
    })
  }

  // The hooks are not to work for a client that has left meanwhile.
  #goOn (next: Next): void {
    if (this.#request.raw.destroyed) finishAbandoned(this.#request, this.#reply)
    else next()
  }

  // The client sees what the error says; the value may be a secret.
  #keyError (value: unknown): Error {
    this.#request.log.error({ value: inspect(value) }, 'keyGenerator returned no string')
    return FST_ERR_WS_CONNECTION_KEY(value === null ? 'null' : typeof value)
  }

  #retryLater (error: Error, next: Next): void {
    this.#reply.header('retry-after', RETRY_AFTER)
    this.#refuse(error, next)
  }

  #refuse (error: Error, next: Next): void {
    this.noteError(error)
    next(error)
  }

  #publishAnswer (trace: HandshakeTrace, statusCode: number): void {
    trace.statusCode = statusCode
    if (this.#error !== undefined) {
      trace.error = this.#error
      handshakeChannel.error.publish(trace)
    }
    handshakeChannel.asyncStart.publish(trace)
    handshakeChannel.asyncEnd.publish(trace)
  }
}

/**
 * Ends a request whose client has gone. Nobody reads the answer, but `onSend` hooks wait for one: a tracing plugin ends its
 * span there. 499 is what nginx logs for a client that has closed the request.
 */
export function finishAbandoned ({ raw }: FastifyRequest, reply: FastifyReply): void {
  if (raw.destroyed && !reply.sent) reply.code(499).send()
}

function isTraced (): boolean {
  // The types of Node 20 do not know it yet.
  return (handshakeChannel as unknown as { hasSubscribers: boolean }).hasSubscribers
}

// A rejection of one generator is left to nobody when the next one throws, which would end the process.
function callGenerator (generate: (request: FastifyRequest) => unknown, request: FastifyRequest): unknown {
  try {
    return generate(request)
  } catch (error) {
    return Promise.reject(error)
  }
}

// Over a Unix socket there is no address, and that of a client that has just left is not known any more.
function hasAddress ({ ip }: FastifyRequest): boolean {
  return (ip as string | undefined) !== undefined
}

function shorten (origin: string): string {
  return origin.length > MAX_QUOTED_ORIGIN ? `${origin.slice(0, MAX_QUOTED_ORIGIN)}…` : origin
}
