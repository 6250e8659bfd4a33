// The options of fastify.websocketRoute().
import type {
  ContextConfigDefault, FastifyBaseLogger, FastifyInstance, FastifyRequest, FastifyTypeProvider, FastifyTypeProviderDefault,
  RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RawServerDefault, RouteGenericInterface, RouteHandlerMethod,
  RouteShorthandOptions
} from 'fastify'
import type { ConnectionClose } from './close.ts'
import type { WebSocketConnection } from './connection.ts'
import type { HttpSchema } from './http-schema.ts'
import type { ReceivedMessage } from './messages.ts'
import type { WebSocketSchema } from './schema.ts'
import type { WebSocketLimits, WebSocketServerOptions } from './server-options.ts'

// What a WebSocket route has in its own way: a `schema` with headers and messages, an `onError` for its connections, and
// no say in whether it is one.
type OwnOptions = 'schema' | 'websocket' | 'onError'

/** An error of a connection: what the application threw, or what the peer did wrong. */
export interface WebSocketError extends Error {
  /** `FST_ERR_WS_…`, or what `ws` calls it: `WS_ERR_…`. */
  code?: string
  /** The code that the connection is closed with by default; 1011 without one. */
  closeCode?: number
  /** The reason that the connection is closed with by default. */
  reason?: string
  /** What the validator found wrong with a message. */
  validation?: unknown[] | undefined
}

// What the callbacks are called with. `Request` is short for what the other parameters make of it.
type Callback<
  RawServer extends RawServerBase,
  RawRequest extends RawRequestDefaultExpression<RawServer>,
  RawReply extends RawReplyDefaultExpression<RawServer>,
  RouteGeneric extends RouteGenericInterface,
  ContextConfig,
  Schema extends WebSocketSchema,
  TypeProvider extends FastifyTypeProvider,
  Logger extends FastifyBaseLogger,
  Protocols extends readonly string[],
  Data,
  Args extends unknown[],
  Result,
  Request extends { log: FastifyBaseLogger } = FastifyRequest<
    RouteGeneric, RawServer, RawRequest, HttpSchema<Schema>, TypeProvider, ContextConfig, Logger
  >
> = (
  this: FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>,
  conn: WebSocketConnection<Schema, TypeProvider, Protocols[number], Request, Data>,
  ...args: Args extends [] ? [request: Request] : Args
) => Result

/** What `onHandshake` returns, or resolves to. */
export type HandshakeResult = (object & { then?: never }) | void | undefined

// Where it returns nothing, as after `conn.reject()`, that does not widen the type of `conn.data`.
type DataOf<Result> = [Exclude<Result, void | undefined>] extends [never] ? undefined : Exclude<Result, void | undefined>

/** The options of `fastify.websocketRoute()`: a GET route's, the plugin's, and these. */
export interface WebSocketRouteOptions<
  RawServer extends RawServerBase = RawServerDefault,
  RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
  RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
  RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
  ContextConfig = ContextConfigDefault,
  Schema extends WebSocketSchema = WebSocketSchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Logger extends FastifyBaseLogger = FastifyBaseLogger,
  Protocols extends readonly string[] = readonly string[],
  Result extends HandshakeResult = HandshakeResult
> extends WebSocketServerOptions, WebSocketLimits, Omit<
  RouteShorthandOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, HttpSchema<NoInfer<Schema>>, TypeProvider, Logger>,
  OwnOptions
> {
  /** What the request must be like, and what the answers to it are like. It is for `handler` too. */
  schema?: Schema | undefined

  /** A WebSocket handshake is a GET (RFC 6455 section 4.1). */
  method?: 'GET' | undefined

  /**
   * The subprotocols that the server speaks, in its order of preference. The first one that the client offered is
   * chosen, unless `acceptWith({ protocol })` says otherwise; if it offered none of them, none is.
   *
   * @default []
   */
  protocols?: Protocols | undefined

  /**
   * Decides on the handshake: calls `conn.acceptWith()`, `conn.reject()` or neither, which accepts it. It runs as the route's
   * handler, after all hooks up to `preHandler` and the validation of the request; `this` is the instance of the route.
   *
   * An object that it returns, or resolves to, is `conn.data` from then on: in all callbacks that stand after it, it has that type.
   * It decides nothing: anything else but `undefined`, such as `false`, is `FST_ERR_WS_HANDSHAKE_RESULT`, 500.
   *
   * What it throws or rejects with is answered by the route's error handler. If it throws after it has accepted, the
   * error is logged and the connection is closed with 1011.
   */
  onHandshake?: Callback<
    RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, NoInfer<Schema>, TypeProvider, Logger, NoInfer<Protocols>,
    undefined, [], Result | PromiseLike<Result>
  > | undefined

  /**
   * Takes the connection when it is open; `this` is the instance of the route. No message is lost: what comes is held until
   * this has settled, or somebody listens for `'message'` or iterates over the connection. While more than `highWaterMark` is
   * held, the connection is not read.
   *
   * What it throws or rejects with goes to `onError`.
   */
  onConnection?: Callback<
    RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, NoInfer<Schema>, TypeProvider, Logger, NoInfer<Protocols>,
    NoInfer<DataOf<Result>>, [], unknown
  > | undefined

  /**
   * Takes the messages one by one, in order, when `onConnection` has settled: what `schema.receive` makes of them, or
   * without one a string (text) or a Buffer (binary). While the promise that it returned is pending, what comes is held;
   * while more than `highWaterMark` is, the connection is not read, so that TCP slows the peer down.
   *
   * What it throws or rejects with goes to `onError`.
   */
  onMessage?: Callback<
    RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, NoInfer<Schema>, TypeProvider, Logger, NoInfer<Protocols>,
    // NoInfer is around the whole: the compiler would look for Schema in every branch of a provider's conditional type.
    NoInfer<DataOf<Result>>, [message: NoInfer<ReceivedMessage<Schema, TypeProvider>>], unknown
  > | undefined

  /**
   * Is called once for every connection that was open, when it is closed, `onConnection` has settled and `onMessage` has
   * seen the messages that came before; but no later than `closeTimeout` after the close.
   *
   * What it throws or rejects with goes to `onError`.
   */
  onClose?: Callback<
    RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, NoInfer<Schema>, TypeProvider, Logger, NoInfer<Protocols>,
    NoInfer<DataOf<Result>>, [close: ConnectionClose], unknown
  > | undefined

  /**
   * Decides on an error of a connection: what a callback or a listener has thrown or rejected with, a message that is not
   * valid, a peer that breaks the protocol (`ws` has closed it then) or reads too slowly.
   *
   * What it throws or rejects with is logged, and the connection is closed with 1011.
   *
   * @default logs the error, at debug if it is the peer's fault, and closes with `error.closeCode`, or 1011 without one
   */
  onError?: Callback<
    RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, NoInfer<Schema>, TypeProvider, Logger, NoInfer<Protocols>,
    NoInfer<DataOf<Result>>, [error: WebSocketError], unknown
  > | undefined

  /**
   * Answers plain HTTP requests, GET and HEAD, for the same path. `handlerTimeout` is for this one.
   *
   * @default 426 with `Upgrade: websocket` (RFC 9110 section 15.5.22)
   */
  handler?: RouteHandlerMethod<
    RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, HttpSchema<NoInfer<Schema>>, TypeProvider, Logger
  > | undefined
}
