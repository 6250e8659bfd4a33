// What the plugin adds to Fastify's own types.
import type {
  ContextConfigDefault, FastifyBaseLogger, FastifySchema as RouteSchema, FastifyTypeProvider, FastifyTypeProviderDefault,
  RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RawServerDefault, RouteGenericInterface
} from 'fastify'
import type { HandshakeResult, WebSocketRouteOptions } from './options.ts'
import type { InjectedWebSocket, InjectOptions } from './inject.ts'
import type { WebSocketSchema } from './schema.ts'
import type { WebSockets } from './websockets.ts'

// Whoever gives a RouteGeneric gives `Data` in it: TypeScript infers all type arguments or none.
type GivenData<RouteGeneric> = RouteGeneric extends { Data: infer Data extends object } ? Data | void : void

declare module 'fastify' {
  interface FastifyInstance<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    Logger extends FastifyBaseLogger = FastifyBaseLogger,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault
  > {
    /**
     * Declares a WebSocket route. The handshake is an ordinary GET request to it: hooks, schemas and the error handler
     * work as on any route.
     *
     * @throws FST_ERR_WS_OPTION_INVALID if an option has a wrong type or value
     * @throws FST_ERR_WS_OPTION_UNKNOWN if an option does not exist
     * @throws FST_ERR_WS_CALLBACK_MISSING if there is neither `onHandshake` nor `onConnection` nor `onMessage`
     */
    websocketRoute<
      RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
      ContextConfig = ContextConfigDefault,
      const Schema extends WebSocketSchema = {},
      const Protocols extends readonly string[] = readonly string[],
      Result extends HandshakeResult = GivenData<RouteGeneric>
    > (
      path: string,
      options: WebSocketRouteOptions<
        RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, Schema, TypeProvider, Logger, Protocols, Result
      >
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>

    /** All WebSocket connections of the server. */
    readonly websockets: WebSockets

    /**
     * Connects to a WebSocket route without a port, for tests: a client of `ws` and the parser of `node:http`, with memory
     * between them, so that hooks, `request.ip`, time-outs and refusals are as on a network. Makes the instance ready.
     * An open connection does not keep the process alive; `fastify.close()` closes it.
     *
     * Rejects with `FST_ERR_WS_REFUSED` (`statusCode`, `headers`, `body`) if the handshake is refused, with
     * `FST_ERR_WS_INJECT` if there is no answer, with `FST_ERR_WS_INJECT_ANSWER` if the client does not take the 101, as when it
     * has offered subprotocols and none was chosen, with the reason of `signal` if that is aborted before.
     */
    injectWebSocket (path: string, options?: InjectOptions): Promise<InjectedWebSocket>
  }

  interface RouteOptions<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
    ContextConfig = ContextConfigDefault,
    SchemaCompiler extends RouteSchema = RouteSchema,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger
  > {
    /** `true` in an `onRoute` hook for a route of `websocketRoute()`, and for those of other methods that come with it. */
    websocketRoute?: boolean
  }
}
