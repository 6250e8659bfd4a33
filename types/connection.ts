import type {
  FastifyBaseLogger, FastifyRequest, FastifyTypeProvider, FastifyTypeProviderDefault, RawRequestDefaultExpression, RawServerDefault,
  RouteGenericInterface
} from 'fastify'
import type { WebSocket } from 'ws'
import type { AcceptArguments, RejectArguments } from './handshake.ts'
import type { HttpSchema } from './http-schema.ts'
import type { BlobWhereBinary, ReceivedMessage, SentMessage } from './messages.ts'
import type { WebSocketSchema } from './schema.ts'

export interface PublishOptions {
  /**
   * Whether the connection that publishes gets the message as well, if it subscribes to the topic.
   *
   * @default false
   */
  self?: boolean | undefined
}

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
  >,
  Data = unknown
> extends WebSocket {
  /** A safe integer from 1 on, unique in the process and never used again. */
  readonly id: number
  /** The request of the handshake. */
  readonly request: Request
  /**
   * The object that `onHandshake` has returned, or resolved to: who is connected, with what session, for which tenant.
   * `undefined` if it has returned nothing, and during the handshake.
   */
  readonly data: Data
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
   * Is aborted when the connection begins to close, or is lost: a handler that streams can stop. Its reason is
   * `FST_ERR_WS_CLOSED`, with `closeCode` and `reason`. It is made when it is first asked for, and aborted already if the
   * connection is closing then.
   *
   * @throws FST_ERR_WS_NOT_OPEN during the handshake, which has `conn.request.signal`
   */
  readonly signal: AbortSignal

  /** The last round trip to the peer in milliseconds, measured by the heartbeat; `undefined` before the first. */
  readonly latency: number | undefined

  /**
   * Sends a message: with `schema.send` a value for it, serialised by its compiled serializer; without, a string as text,
   * binary data as such, and anything else as JSON. Like `send()`, it does nothing when the connection is closing. Where binary
   * data may be sent a Blob may; what is sent after it waits until it has been read. Between the fragments of a message, sent by
   * `send()` with `fin: false`, it waits for the last of them (RFC 6455 section 5.4).
   *
   * Returns `false` if more than `highWaterMark` waits to be sent to the peer, or if the connection is not open any more;
   * `await conn.drained()` then.
   *
   * @throws FST_ERR_WS_SEND_INVALID if the value does not fit; nothing has been sent
   * @throws FST_ERR_WS_NOT_OPEN during the handshake
   */
  sendMessage (value: SentMessage<Schema, TypeProvider> | BlobWhereBinary<SentMessage<Schema, TypeProvider>>): boolean

  /**
   * How many bytes wait to be sent: what the system has not taken, frame headers included, payloads that are being compressed or
   * read, the small messages of this turn of the event loop, and whole messages that wait for the last fragment of another one.
   * 0 during the handshake.
   */
  readonly bufferedAmount: number

  /**
   * Resolves when no more than `highWaterMark` waits to be sent to the peer, at once if that is so.
   *
   * Rejects with `FST_ERR_WS_CLOSED` (with `closeCode` and `reason`) if the connection closes before, or has closed; with
   * `FST_ERR_WS_NOT_OPEN` during the handshake.
   */
  drained (): Promise<void>

  /**
   * The topics that it subscribes to. Each access takes a new snapshot; when the socket is gone, as in `onClose`, it has those that
   * it subscribed to until then.
   */
  readonly topics: readonly string[]

  /**
   * Subscribes to a topic: from now on it gets what others publish to it. A second call does nothing, nor does one when the
   * connection is closing. The subscription ends with the connection.
   *
   * @param topic any string of 1 to 255 bytes; no character has a meaning of its own
   * @throws FST_ERR_WS_TOPIC if it is another one
   * @throws FST_ERR_WS_NOT_OPEN during the handshake
   */
  subscribe (topic: string): void

  /**
   * Ends a subscription. What was published before is still sent.
   *
   * @throws FST_ERR_WS_TOPIC if the topic is no string of 1 to 255 bytes
   * @throws FST_ERR_WS_NOT_OPEN during the handshake
   */
  unsubscribe (topic: string): void

  /**
   * Sends a message to all who subscribe to a topic but this connection, which need not subscribe itself and may have
   * closed. With `{ self: true }` it gets the message too, if it subscribes. Returns to how many of this process. It is serialised once for each `schema.send`, as by `sendMessage()`, and framed once. What
   * is published to one connection or sent to it arrives in the order of the calls. A Blob cannot be published.
   *
   * @throws FST_ERR_WS_TOPIC if the topic is no string of 1 to 255 bytes
   * @throws FST_ERR_WS_SEND_INVALID if it does not fit this route, or that of one of the subscribers in this process;
   *   nothing has been sent
   * @throws FST_ERR_WS_NOT_OPEN during the handshake
   * @throws FST_ERR_WS_ARGUMENT if the options are none
   */
  publish (topic: string, message: SentMessage<Schema, TypeProvider>, options?: PublishOptions): number

  /**
   * Iterates over the messages, each as `onMessage` would get it. What it has not taken yet waits; when that is more than
   * `highWaterMark`, the connection is not read.
   *
   * It ends when the connection is closed with 1000, 1001 or without a code (1005), and throws `FST_ERR_WS_CLOSED`, with `closeCode` and `reason`,
   * after any other close; one that begins later hands out what waits, and does the same. `break` leaves the connection open;
   * messages that come then are for the next iteration, for `onMessage`, or for somebody who listens for `'message'`, and wait
   * for them while `onConnection` is pending.
   *
   * @throws FST_ERR_WS_NOT_OPEN during the handshake
   */
  [Symbol.asyncIterator] (): AsyncIterableIterator<ReceivedMessage<Schema, TypeProvider>, undefined>

  /**
   * Starts the closing handshake (RFC 6455 section 7.1.2); when the connection is closing or closed it does nothing, whatever
   * the arguments. `onMessage` gets no message after it; listeners and iterations get those that come before the peer's close
   * frame. If the peer does not answer within `closeTimeout`, the socket is destroyed.
   *
   * @param code 1000 to 1003, 1007 to 1014 or 3000 to 4999; without one the frame has none, and the peer sees 1005
   * @param reason at most 123 bytes
   * @throws FST_ERR_WS_CLOSE_CODE, FST_ERR_WS_CLOSE_REASON if they may not be sent; nothing has changed
   * @throws FST_ERR_WS_NOT_OPEN while the handshake has no answer: `reject()` is what ends it. Between `acceptWith()` and the
   * 101 it closes the connection as soon as it is open.
   */
  close (code?: number, reason?: string | Buffer): void

  /** Destroys the socket at once; during the handshake too, without an answer. */
  terminate (): void
}

/**
 * A connection with this `data`, for functions of one's own: `function greet (conn: WebSocketConnectionWith<{ user: User }>)`. With a
 * schema and a type provider its messages are typed too.
 */
export type WebSocketConnectionWith<
  Data,
  Schema extends WebSocketSchema = WebSocketSchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault
> = WebSocketConnection<
  Schema, TypeProvider, string,
  FastifyRequest<RouteGenericInterface, RawServerDefault, RawRequestDefaultExpression, HttpSchema<Schema>, TypeProvider>,
  Data
>
