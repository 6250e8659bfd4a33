import type {
  ContextConfigDefault, FastifyBaseLogger, FastifyInstance, FastifyRequest, FastifyTypeProvider, FastifyTypeProviderDefault,
  RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RawServerDefault, RouteGenericInterface, RouteHandlerMethod,
  RouteShorthandOptions
} from 'fastify'
import type { PerMessageDeflateOptions } from 'ws'
import type { WebSocketConnection } from './connection.ts'
import type { HttpSchema } from './http-schema.ts'
import type { WebSocketSchema } from './schema.ts'

/** What can be set on the plugin, for all routes, and again on a route. */
export interface WebSocketServerOptions {
  /**
   * Milliseconds from the request to the answer, hooks included. After it the client gets Fastify's 503
   * (`FST_ERR_HANDLER_TIMEOUT`) and `request.signal` is aborted. `false`: no limit.
   *
   * @default 10000
   */
  handshakeTimeout?: number | false | undefined
  /**
   * Milliseconds that a peer has to answer a close frame before its socket is destroyed; on the plugin it also limits
   * how long `fastify.close()` waits for all of them.
   *
   * @default 5000
   */
  closeTimeout?: number | undefined
  /**
   * The longest message that is received, in bytes, after decompression. A longer one closes the connection with 1009.
   *
   * @default the route's `bodyLimit`, or the server's (1 MiB)
   */
  maxPayload?: number | undefined
  /**
   * How many fragments a message may have. One with more closes the connection with 1008.
   *
   * @default 1024
   */
  maxFragments?: number | undefined
  /**
   * Compression (RFC 7692): `true`, or its parameters as `ws` takes them. An offer that cannot be met is declined.
   *
   * @default false
   */
  perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined
  /**
   * Skips the check that text messages and close reasons are UTF-8 (RFC 6455 section 8.1). For clients that are trusted.
   *
   * @default false
   */
  skipUTF8Validation?: boolean | undefined
}

/** The options of the plugin: defaults for its routes. */
export type WebSocketPluginOptions = WebSocketServerOptions

// What a WebSocket route has in its own way: a `schema` with headers, and no say in whether it is one.
type OwnOptions = 'schema' | 'websocket'

// What `onHandshake` and `onConnection` are called with. `Request` is short for what the other parameters make of it.
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
  Result,
  Request extends { log: FastifyBaseLogger } = FastifyRequest<
    RouteGeneric, RawServer, RawRequest, HttpSchema<Schema>, TypeProvider, ContextConfig, Logger
  >
> = (
  this: FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>,
  conn: WebSocketConnection<Schema, TypeProvider, Protocols[number], Request>,
  request: Request
) => Result

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
  Protocols extends readonly string[] = readonly string[]
> extends WebSocketServerOptions, Omit<
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
   * Decides on the handshake: calls `conn.acceptWith()`, `conn.reject()` or neither, which accepts it. What it returns
   * decides nothing. It runs as the route's handler, after all hooks up to `preHandler` and the validation of the
   * request; `this` is the instance of the route.
   *
   * What it throws or rejects with is answered by the route's error handler. If it throws after it has accepted, the
   * error is logged and the connection is closed with 1011.
   */
  onHandshake?: Callback<
    RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, NoInfer<Schema>, TypeProvider, Logger, NoInfer<Protocols>,
    void | PromiseLike<void>
  > | undefined

  /**
   * Takes the connection when it is open; `this` is the instance of the route. No message is lost: nothing is read
   * before this has settled, or somebody listens for `'message'`.
   *
   * What it throws or rejects with is logged, and the connection is closed with 1011.
   */
  onConnection?: Callback<
    RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, NoInfer<Schema>, TypeProvider, Logger, NoInfer<Protocols>, unknown
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
