import type {
  FastifyBaseLogger, FastifyRequest, FastifyTypeProvider, FastifyTypeProviderDefault, RawRequestDefaultExpression, RawServerDefault,
  RouteGenericInterface
} from 'fastify'
import type { WebSocket } from 'ws'
import type { AcceptArguments, RejectArguments } from './handshake.ts'
import type { HttpSchema } from './http-schema.ts'
import type { WebSocketSchema } from './schema.ts'

/**
 * A WebSocket of `ws`, from the first moment of its handshake on: in state `CONNECTING` in `onHandshake`, in state
 * `OPEN` in `onConnection`. Everything that takes a `ws` socket takes it.
 *
 * Without type arguments it stands for the connections of all routes, as in a helper that many of them call. Such a
 * helper knows nothing of a route's schema: what it gives to `acceptWith()` and `reject()` is checked when they run.
 */
export interface WebSocketConnection<
  Schema extends WebSocketSchema = WebSocketSchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Protocol extends string = string,
  Request extends { log: FastifyBaseLogger } = FastifyRequest<
    RouteGenericInterface, RawServerDefault, RawRequestDefaultExpression, HttpSchema<Schema>, TypeProvider
  >
> extends WebSocket {
  /** A safe integer from 1 on, unique in the process and never used again. */
  readonly id: number
  /** The request of the handshake. */
  readonly request: Request
  /** The logger of the request. */
  readonly log: Request['log']
  /** The subprotocols that the client offered, in its order of preference (RFC 6455 section 11.3.4). */
  readonly offeredProtocols: readonly string[]

  /**
   * Accepts the handshake: the reply is sent with the status 101, the headers that hooks have set on it, and these.
   *
   * To be called once, in `onHandshake`; without a call the handshake is accepted as by `acceptWith()`. When the client
   * has gone meanwhile, it does nothing. What it throws it throws before anything has changed, so `reject()` can follow.
   *
   * @throws FST_ERR_WS_HANDSHAKE_SETTLED after `acceptWith()` or `reject()`
   * @throws FST_ERR_WS_ACCEPT_HEADERS if the headers do not fit `schema.response[101].headers`
   * @throws FST_ERR_WS_HEADER_INVALID if a name or a value cannot be sent
   * @throws FST_ERR_WS_HEADER_RESERVED for a header that belongs to the handshake (RFC 6455 section 4.2.2)
   * @throws FST_ERR_WS_PROTOCOL_NOT_OFFERED if the client did not offer the protocol
   * @throws FST_ERR_WS_ARGUMENT if the options are no object
   */
  acceptWith (...args: AcceptArguments<Schema, TypeProvider, Protocol>): void

  /**
   * Refuses the handshake with an HTTP response, as `reply.code(code).send(body)` would send it on a plain route, and
   * `Connection: close`.
   *
   * To be called once, in `onHandshake`. When the client has gone meanwhile, it does nothing. What it throws it throws
   * before anything has changed.
   *
   * @throws FST_ERR_WS_HANDSHAKE_SETTLED after `acceptWith()` or `reject()`
   * @throws FST_ERR_WS_REJECT_CODE if the code is no integer from 300 to 599
   * @throws FST_ERR_WS_REJECT_HEADERS if the headers do not fit the header schema of this code
   * @throws FST_ERR_WS_HEADER_INVALID if a name or a value cannot be sent
   * @throws FST_ERR_WS_HEADER_RESERVED for a header that belongs to the handshake or to the framing
   * @throws FST_ERR_WS_ARGUMENT if the options are no object
   */
  reject<Code extends number = 403> (...args: RejectArguments<Schema, TypeProvider, Code>): void

  /**
   * Starts the closing handshake (RFC 6455 section 7.1.2).
   *
   * @throws FST_ERR_WS_NOT_OPEN while the handshake has no answer: `reject()` is what ends it
   */
  close (code?: number, data?: string | Buffer): void

  /** Destroys the socket at once; during the handshake too, without an answer. */
  terminate (): void
}
