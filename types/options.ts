import type {
  ContextConfigDefault, FastifyBaseLogger, FastifyInstance, FastifyRequest, FastifyTypeProvider, RawReplyDefaultExpression,
  RawRequestDefaultExpression, RawServerBase, RouteGenericInterface, RouteHandlerMethod, RouteShorthandOptions
} from 'fastify'
import type { PerMessageDeflateOptions } from 'ws'
import type { WebSocketConnection } from './connection.ts'
import type { WebSocketSchema } from './schema.ts'

/** What can be set on the plugin, for all routes, and again on a route. */
export interface WebSocketServerOptions {
  /**
   * Milliseconds from the request to the answer, hooks included. After it the client gets Fastify's 503
   * (`FST_ERR_HANDLER_TIMEOUT`) and `request.signal` is aborted. `false`: no limit.
   *
   * @default 10000
   */
  handshakeTimeout?: number | false
  /**
   * Milliseconds that a peer has to answer a close frame before its socket is destroyed; on the plugin it also limits
   * how long `fastify.close()` waits for all of them.
   *
   * @default 5000
   */
  closeTimeout?: number
  /**
   * The longest message that is received, in bytes, after decompression. A longer one closes the connection with 1009.
   *
   * @default the route's `bodyLimit`, or the server's (1 MiB)
   */
  maxPayload?: number
  /**
   * How many fragments a message may have. One with more closes the connection with 1008.
   *
   * @default 1024
   */
  maxFragments?: number
  /**
   * Compression (RFC 7692): `true`, or its parameters as `ws` takes them. An offer that cannot be met is declined.
   *
   * @default false
   */
  perMessageDeflate?: boolean | PerMessageDeflateOptions
  /**
   * Skips the check that text messages and close reasons are UTF-8 (RFC 6455 section 8.1). For clients that are trusted.
   *
   * @default false
   */
  skipUTF8Validation?: boolean
}

/** The options of the plugin: defaults for its routes. */
export type WebSocketPluginOptions = WebSocketServerOptions

// What a WebSocket route decides itself.
type OwnRouteOptions = 'schema'

/** The options of `fastify.websocketRoute()`: a GET route's, the plugin's, and these. */
export interface WebSocketRouteOptions<
  RawServer extends RawServerBase,
  RawRequest extends RawRequestDefaultExpression<RawServer>,
  RawReply extends RawReplyDefaultExpression<RawServer>,
  Logger extends FastifyBaseLogger,
  TypeProvider extends FastifyTypeProvider,
  Schema extends WebSocketSchema,
  Protocols extends readonly string[],
  Instance = FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>,
  Request = FastifyRequest<RouteGenericInterface, RawServer, RawRequest, Schema, TypeProvider, ContextConfigDefault, Logger>,
  Connection = WebSocketConnection<TypeProvider, Schema, Protocols[number], Request, Logger>
> extends WebSocketServerOptions, Omit<
  RouteShorthandOptions<RawServer, RawRequest, RawReply, RouteGenericInterface, ContextConfigDefault, NoInfer<Schema>, TypeProvider, Logger>,
  OwnRouteOptions
> {
  schema?: Schema
  method?: 'GET'

  /**
   * The subprotocols that the server speaks, in its order of preference. The first one that the client offered is
   * chosen, unless `acceptWith({ protocol })` says otherwise; if it offered none of them, none is.
   *
   * @default []
   */
  protocols?: Protocols

  /**
   * Decides on the handshake: calls `conn.acceptWith()`, `conn.reject()` or neither, which accepts it. It runs as the
   * route's handler, after all hooks up to `preHandler` and the validation of the request.
   *
   * What it throws or rejects with is answered by the route's error handler. If it throws after it has accepted, the
   * error is logged and the connection is closed with 1011.
   */
  onHandshake?: (this: Instance, conn: Connection, request: Request) => unknown

  /**
   * Takes the connection when it is open. No message is lost: nothing is read before this has settled, or somebody
   * listens for `'message'`.
   *
   * What it throws or rejects with is logged, and the connection is closed with 1011.
   */
  onConnection?: (this: Instance, conn: Connection, request: Request) => unknown

  /**
   * Answers plain HTTP requests, GET and HEAD, for the same path. `handlerTimeout` is for this one.
   *
   * @default 426 with `Upgrade: websocket` (RFC 9110 section 15.5.22)
   */
  handler?: RouteHandlerMethod<RawServer, RawRequest, RawReply, RouteGenericInterface, ContextConfigDefault, NoInfer<Schema>, TypeProvider, Logger>
}
