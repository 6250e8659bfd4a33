// Options in; one Fastify route and one ws server out.
import type { IncomingMessage } from 'node:http'
import { inspect } from 'node:util'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchemaCompiler, RouteOptions } from 'fastify'
import type { Connection } from './connection.ts'
import { FST_ERR_WS_CALLBACK_MISSING, FST_ERR_WS_METHOD, FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_UPGRADE_REQUIRED } from './errors.ts'
import { Handshake, type HandshakeRoute, refuseRequest } from './handshake.ts'
import { checkHandshake } from './handshake-check.ts'
import { onlyHandshakes } from './handshake-constraint.ts'
import { checkRouteOptions, readServerOptions, type ServerOptions } from './options.ts'
import { type HeaderSchemas, HeaderValidators, splitHeaderSchemas } from './schemas.ts'
import { isThenable } from './thenable.ts'
import type { UpgradeListener } from './upgrade.ts'
import { UpgradeResponse } from './upgrade-response.ts'
import { Upgrader } from './upgrader.ts'

type ConnectionCallback = (this: FastifyInstance, connection: Connection, request: FastifyRequest) => unknown
type Handler = RouteOptions['handler']

interface Callbacks {
  readonly onHandshake?: ConnectionCallback
  readonly onConnection?: ConnectionCallback
  readonly protocols?: readonly string[]
  readonly attachValidation?: boolean
}

type SharedOptions = Omit<RouteOptions, 'handler'>

/** Registers a WebSocket route on an instance. */
export function addWebSocketRoute (
  instance: FastifyInstance, path: unknown, options: unknown, defaults: ServerOptions, listener: UpgradeListener
): void {
  if (typeof path !== 'string') throw FST_ERR_WS_OPTION_INVALID('path', 'a string', inspect(path))
  checkRouteOptions(options)
  const { onHandshake, onConnection, handler, protocols, handshakeTimeout, handlerTimeout, ...shared } = options
  if (onHandshake === undefined && onConnection === undefined) throw FST_ERR_WS_CALLBACK_MISSING(path)

  const { schema, headerSchemas } = splitHeaderSchemas(shared.schema ?? {})
  const common = { ...shared, ...shared.schema === undefined ? {} : { schema }, method: 'GET', url: path } as SharedOptions
  const route = new WebSocketRoute(instance, options as Callbacks, readServerOptions(options, defaults), listener)
  const { handshakeTimeout: timeout } = route.options

  instance.route({
    ...withOwnLists(common),
    ...timeout === false ? {} : { handlerTimeout: timeout },
    ...handler === undefined
      ? { onRequest: [requireUpgrade, ...toArray(common.onRequest)] }
      : { constraints: onlyHandshakes(common.constraints), exposeHeadRoute: false },
    websocket: true,
    handler: (request, reply) => route.handle(request, reply)
  })
  // A route of its own: the handshake's time-out must not end a long response, such as a stream of events.
  if (handler !== undefined) {
    instance.route({ ...withOwnLists(common), ...defined({ handlerTimeout }), handler: handler as Handler } as RouteOptions)
  }
  addMethodRoute(instance, common, headerSchemas !== null)
  if (headerSchemas !== null) compileHeaderSchemas(instance, route, headerSchemas, common)
}

// RFC 6455 section 4.2.1, item 1: a handshake that is no GET. Plain requests of other methods are none of our business.
function addMethodRoute (instance: FastifyInstance, common: SharedOptions, hasHeaderSchemas: boolean): void {
  const { url, errorHandler, logLevel, logSerializers, prefixTrailingSlash, childLoggerFactory } = common
  // Fastify makes an instance's default validator compiler for the first route that has something to validate: an empty
  // schema sees to it that there is one for the headers of the responses.
  const needsCompiler = hasHeaderSchemas && (common.validatorCompiler ?? instance.validatorCompiler) == null
  instance.route(defined({
    url,
    errorHandler,
    logLevel,
    logSerializers,
    prefixTrailingSlash,
    childLoggerFactory,
    method: instance.supportedMethods.filter((method) => method !== 'GET'),
    constraints: onlyHandshakes(common.constraints),
    schema: defined({ hide: true, params: needsCompiler ? {} : undefined }),
    onRequest: refuseMethod,
    handler: refuseMethod
  }) as unknown as RouteOptions)
}

function compileHeaderSchemas (
  instance: FastifyInstance, route: WebSocketRoute, headerSchemas: HeaderSchemas, { validatorCompiler, url }: SharedOptions
): void {
  instance.addHook('onReady', async () => {
    const compiler = validatorCompiler ?? instance.validatorCompiler
    route.headerValidators = new HeaderValidators(headerSchemas, compiler as FastifySchemaCompiler<unknown>, url)
  })
}

class WebSocketRoute implements HandshakeRoute {
  readonly instance: FastifyInstance
  readonly options: ServerOptions
  readonly protocols: readonly string[]
  readonly onHandshake: ConnectionCallback | undefined
  readonly upgrader: Upgrader
  headerValidators: HeaderValidators | undefined = undefined
  readonly #onConnection: ConnectionCallback | undefined
  readonly #attachValidation: boolean
  readonly #listener: UpgradeListener

  constructor (instance: FastifyInstance, callbacks: Callbacks, options: ServerOptions, listener: UpgradeListener) {
    this.instance = instance
    this.options = options
    this.protocols = callbacks.protocols ?? []
    this.onHandshake = callbacks.onHandshake
    this.upgrader = new Upgrader(options)
    this.#onConnection = callbacks.onConnection
    this.#attachValidation = callbacks.attachValidation === true
    this.#listener = listener
  }

  handle (request: FastifyRequest, reply: FastifyReply): unknown {
    const check = checkHandshake(request.raw)
    if (check.error !== null) {
      if (!this.#attachValidation) throw refuseRequest(reply, check.error)
      request.validationError ??= check.error as NonNullable<FastifyRequest['validationError']>
    }
    // Only an upgrade gets here, and its response was made by the upgrade listener.
    const response = reply.raw as unknown as UpgradeResponse
    return new Handshake(this, request, reply, response, check).run()
  }

  readonly open = (connection: Connection): void => {
    connection.hold()
    this.#listener.track(connection)
    process.nextTick(startConnection, this.instance, connection, this.#onConnection)
  }
}

/** Calls `onConnection`, and lets the messages come when it has settled or somebody listens for them. */
function startConnection (instance: FastifyInstance, connection: Connection, onConnection: ConnectionCallback | undefined): void {
  const fail = (error: unknown): void => {
    connection.log.error({ err: error, connId: connection.id }, 'onConnection failed')
    connection.close(1011)
  }
  try {
    const result = onConnection?.call(instance, connection, connection.request)
    if (isThenable(result)) {
      void result.then(() => connection.release(), fail)
      if (connection.listenerCount('message') === 0) return
    }
    connection.release()
  } catch (error) {
    fail(error)
  }
}

// With a callback: a promise would make every handshake wait for another turn of the event loop.
function requireUpgrade (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void {
  if (reply.raw instanceof UpgradeResponse) {
    done()
    return
  }
  // RFC 9110 section 15.5.22. HTTP/2 knows neither field (RFC 9113 section 8.2.2).
  if (request.raw.httpVersionMajor === 1) reply.headers({ upgrade: 'websocket', connection: upgradeOption(request.raw) })
  done(FST_ERR_WS_UPGRADE_REQUIRED() as Error)
}

// A Connection field of ours keeps Node from writing its own, which would tell that the connection closes.
function upgradeOption (request: IncomingMessage): string {
  const isLast = request.httpVersionMinor === 0 || /(?:^|,)[ \t]*close[ \t]*(?:,|$)/i.test(request.headers.connection ?? '')
  return isLast ? 'close, Upgrade' : 'Upgrade'
}

async function refuseMethod (request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply.header('allow', 'GET')
  throw FST_ERR_WS_METHOD(request.method)
}

// Plugins add their hooks to the lists of a route in onRoute; no two routes may share one, nor write into the user's.
function withOwnLists (options: SharedOptions): SharedOptions {
  const entries = Object.entries(options).map(([name, value]): [string, unknown] => [name, Array.isArray(value) ? [...value] : value])
  return Object.fromEntries(entries) as unknown as SharedOptions
}

function toArray<Item> (value: Item | Item[] | undefined): Item[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value]
}

function defined (object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))
}
