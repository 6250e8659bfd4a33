// The callbacks of a route. Whatever one of them throws or rejects with, and whatever a listener throws, ends here.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { WebSocket } from 'ws'
import type { ConnectionClose } from '../../types/close.ts'
import { CloseCode, cutReason, isSendableCode } from '../close-codes.ts'
import type { ConnectionCallbacks } from '../connection/connection-route.ts'
import type { Connection } from '../connection/connection.ts'
import type { ContainedCalls } from '../connection/contained-calls.ts'
import { isThenable } from '../thenable.ts'
import { type ErrorFacts, logError, readFacts, toObject } from '../thrown.ts'

type Callback<Args extends unknown[]> = (this: FastifyInstance, connection: Connection, ...args: Args) => unknown

/** As they stand in the options of a route. */
export interface CallbackOptions {
  readonly onHandshake?: Callback<[request: FastifyRequest]>
  readonly onConnection?: Callback<[request: FastifyRequest]>
  readonly onMessage?: Callback<[message: unknown]>
  readonly onClose?: Callback<[close: ConnectionClose]>
  readonly onError?: Callback<[error: object]>
}

export class RouteCallbacks implements ConnectionCallbacks {
  readonly #instance: FastifyInstance
  readonly #options: CallbackOptions

  constructor (instance: FastifyInstance, options: CallbackOptions) {
    this.#instance = instance
    this.#options = options
  }

  get hasOnMessage (): boolean {
    return this.#options.onMessage !== undefined
  }

  callOnHandshake (connection: Connection): unknown {
    return this.#options.onHandshake?.call(this.#instance, connection, connection.request)
  }

  callOnConnection (session: ContainedCalls): unknown {
    const { onConnection } = this.#options
    const { connection } = session
    return onConnection && session.run(onConnection, this.#instance, connection, connection.request)
  }

  callOnMessage (session: ContainedCalls, message: unknown): unknown {
    const { onMessage } = this.#options
    return onMessage && session.run(onMessage, this.#instance, session.connection, message)
  }

  callOnClose (session: ContainedCalls, close: ConnectionClose): void | Promise<void> {
    const { onClose } = this.#options
    if (onClose === undefined) return
    return contain(() => session.run(onClose, this.#instance, session.connection, close), (error) => this.handleError(session, error, false))
  }

  handleError (session: ContainedCalls, thrown: unknown, isOfPeer: boolean): void {
    const error = toObject(thrown)
    const facts = readFacts(error)
    const { connection } = session
    const { id: connId, log } = connection
    const { onError } = this.#options
    // Not by this error: what came before the end is handled.
    const isClosed = isOfPeer || (facts.code === 'FST_ERR_WS_CLOSED' && connection.readyState !== WebSocket.OPEN)
    const level = isClosed ? 'debug' : levelOf(facts)
    if (level === 'debug' || onError === undefined) logError(log, level, { err: error, connId }, 'WebSocket error')
    if (onError === undefined) {
      if (!isClosed) closeFor(facts, connection)
      return
    }
    void contain(() => session.run(onError, this.#instance, connection, error), (secondError) => {
      logError(log, 'error', { err: secondError, connId }, 'onError failed')
      connection.close(CloseCode.InternalError)
    })
  }
}

// Returns a promise if the callback did; it is always fulfilled.
function contain (callback: () => unknown, onFailure: (error: unknown) => void): void | Promise<void> {
  try {
    const result = callback()
    if (isThenable(result)) return Promise.resolve(result).then(() => {}, onFailure)
  } catch (error) {
    onFailure(error)
  }
}

// What a peer does wrong, or that it leaves, is no error of this application.
function levelOf ({ code }: ErrorFacts): 'debug' | 'warn' | 'error' {
  if (code === 'FST_ERR_WS_MESSAGE_INVALID') return 'debug'
  return code === 'FST_ERR_WS_SLOW_CONSUMER' ? 'warn' : 'error'
}

function closeFor ({ code, closeCode, reason }: ErrorFacts, connection: Connection): void {
  // That of another connection says nothing about this one.
  const isOwn = code !== 'FST_ERR_WS_CLOSED' && isSendableCode(closeCode)
  if (isOwn) connection.close(closeCode, typeof reason === 'string' ? cutReason(reason) : undefined)
  else connection.close(CloseCode.InternalError)
}
