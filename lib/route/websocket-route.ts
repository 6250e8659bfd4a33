// Options in; one Fastify route and one ws server out.
import { inspect } from 'node:util'
import type {
  FastifyInstance, FastifyReply, FastifyRequest, FastifySchemaCompiler, FastifySerializerCompiler, onRouteHookHandler, RouteOptions
} from 'fastify'
import { openChannel } from '../channels.ts'
import { type Connection, sessionOf } from '../connection/connection.ts'
import type { Session } from '../connection/session.ts'
import { FST_ERR_WS_CALLBACK_MISSING, FST_ERR_WS_OPTION_INVALID } from '../errors.ts'
import { Admission, type AdmissionRoute, finishAbandoned } from '../handshake/admission.ts'
import { checkHandshake } from '../handshake/handshake-check.ts'
import { Handshake, type HandshakeRoute, refuseRequest } from '../handshake/handshake.ts'
import { type HeaderSchemas, HeaderValidators, splitHeaderSchemas } from '../handshake/header-schemas.ts'
import { Quota, type Reservation } from '../handshake/limits.ts'
import { compileOrigin, type OriginCheck } from '../handshake/origin.ts'
import { compileMessages, type MessageSchemas, RAW_MESSAGES } from '../messages/message-schemas.ts'
import { checkRouteOptions } from '../options/option-checks.ts'
import { checkSchema } from '../options/schema-checks.ts'
import { readLimits, readServerOptions } from '../options/options.ts'
import type { ServerOptions } from '../server-options.ts'
import { Connections } from '../server/connections.ts'
import { Stats } from '../server/stats.ts'
import { checkOnce } from '../seams/direct-frames.ts'
import { kWebSocketRoute } from '../symbols.ts'
import type { PubSub } from '../topics/pub-sub.ts'
import { noteResponse } from '../upgrade/pipelined-responses.ts'
import { upgradeOf } from '../upgrade/response-binding.ts'
import type { UpgradeResponse } from '../upgrade/upgrade-response.ts'
import { Upgrader } from '../upgrade/upgrader.ts'
import { type CallbackOptions, RouteCallbacks } from './callbacks.ts'
import { refuseForeignRoute } from './foreign-route.ts'
import { onlyHandshakes } from './handshake-constraint.ts'
import { addMethodRoute, type SharedOptions } from './other-methods.ts'
import { requireUpgrade } from './upgrade-required.ts'
import { nextTick } from '../timers.ts'

type Handler = RouteOptions['handler']

interface RouteSpecifics extends CallbackOptions {
  readonly path: string
  readonly protocols?: readonly string[]
  readonly attachValidation?: boolean
}

/** What all routes of one registration of the plugin share. */
export interface PluginScope {
  readonly connections: Connections
  readonly defaults: ServerOptions
  readonly quota: Quota
}

type NotedRoute = Parameters<onRouteHookHandler>[0]

/** Registers a WebSocket route on an instance. */
export function addWebSocketRoute (instance: FastifyInstance, path: unknown, options: unknown, scope: PluginScope): void {
  if (typeof path !== 'string') throw FST_ERR_WS_OPTION_INVALID('path', 'a string', inspect(path))
  checkRouteOptions(options, path)
  checkSchema(options.schema, path)
  const { onHandshake, onConnection, onMessage, onClose, onError, handler, protocols, handshakeTimeout, handlerTimeout, origin, ...shared } = options
  if (onHandshake === undefined && onConnection === undefined && onMessage === undefined) throw FST_ERR_WS_CALLBACK_MISSING(path)

  const { schema, headerSchemas } = splitHeaderSchemas(shared.schema ?? {})
  const { receive, send } = schema
  const common = { ...shared, ...shared.schema === undefined ? {} : { schema }, method: 'GET', url: path } as SharedOptions
  checkOnce(instance.log)
  const route = new WebSocketRoute(instance, { ...options, path } as RouteSpecifics, readServerOptions(options, scope.defaults), scope)

  instance.route(withOwnLists({
    ...common,
    ...handler === undefined
      ? { onRequest: [requireUpgrade, common.onRequest ?? []].flat() }
      : { constraints: onlyHandshakes(common.constraints), exposeHeadRoute: false },
    config: { ...common.config, [kWebSocketRoute]: route } as object,
    websocketRoute: true,
    handler: (request, reply) => route.handle(request, reply)
  }))
  // A route of its own, with what concerns plain requests only, such as `handlerTimeout`.
  if (handler !== undefined) {
    instance.route(withOwnLists({ ...common, ...handlerTimeout === undefined ? {} : { handlerTimeout }, handler: handler as Handler } as RouteOptions))
  }
  addMethodRoute(instance, common, { validator: headerSchemas !== null || receive !== undefined, serializer: send !== undefined })
  compileSchemas(instance, route, common, headerSchemas, { receive, send })
}

function compileSchemas (
  instance: FastifyInstance, route: WebSocketRoute, common: SharedOptions, headerSchemas: HeaderSchemas | null, messageSchemas: MessageSchemas
): void {
  const { url } = common
  instance.addHook('onReady', async () => {
    const validatorCompiler = (common.validatorCompiler ?? instance.validatorCompiler) as FastifySchemaCompiler<unknown>
    const serializerCompiler = (common.serializerCompiler ?? instance.serializerCompiler) as FastifySerializerCompiler<unknown>
    const { onProtoPoisoning, onConstructorPoisoning } = instance.initialConfig
    route.messages = compileMessages(messageSchemas, { url, validatorCompiler, serializerCompiler, onProtoPoisoning, onConstructorPoisoning })
    if (headerSchemas !== null) route.headerValidators = new HeaderValidators(headerSchemas, validatorCompiler, url)
  })
}

/** The hook that every handshake meets first. Plain requests pass. */
export function admitHandshake (request: FastifyRequest, reply: FastifyReply, next: (error?: Error) => void): void {
  const response = upgradeOf(reply.raw)
  if (response === undefined) {
    noteResponse(request.raw, reply.raw)
    next()
    return
  }
  response.log = request.log
  const route = routeOf(request.routeOptions.config)
  if (route === undefined) next()
  else route.admit(request, reply, response, next)
}

/** The hook that sees errors which the plugin has not thrown itself. */
export function noteHandshakeError (_request: FastifyRequest, reply: FastifyReply, error: Error, next: () => void): void {
  upgradeOf(reply.raw)?.admission?.noteError(error)
  next()
}

/** The hook that sees all routes, and learns the paths of ours. */
export function noteRoute (this: FastifyInstance, routeOptions: NotedRoute): void {
  refuseForeignRoute(this, routeOptions)
  const { config, constraints, method, url, routePath, prefixTrailingSlash = 'both' } = routeOptions
  const { matcher } = Connections.of(this)
  matcher.note(this, constraints)
  const route = routeOf(config)
  route?.name(url)
  if (route === undefined || method !== 'GET') return
  matcher.add(url, constraints)
  // At the root of a prefix there is a path without a slash, and one with it, of which Fastify does not tell.
  if (routePath === '' && route.path === '/' && prefixTrailingSlash === 'both') matcher.add(`${url}/`, constraints)
}

function routeOf (config: object | undefined): WebSocketRoute | undefined {
  return (config as { [kWebSocketRoute]?: WebSocketRoute } | undefined)?.[kWebSocketRoute]
}

class WebSocketRoute implements HandshakeRoute, AdmissionRoute {
  url = ''
  readonly path: string
  readonly options: ServerOptions
  readonly checkOrigin: OriginCheck
  readonly quotas: readonly Quota[]
  readonly keyGenerators: AdmissionRoute['keyGenerators']
  readonly stats = new Stats()
  readonly pubSub: PubSub
  readonly protocols: readonly string[]
  readonly callbacks: RouteCallbacks
  readonly upgrader: Upgrader
  headerValidators: HeaderValidators | undefined = undefined
  messages = RAW_MESSAGES
  readonly #attachValidation: boolean
  readonly #connections: Connections

  constructor (instance: FastifyInstance, specifics: RouteSpecifics, options: ServerOptions, { connections, quota }: PluginScope) {
    this.path = specifics.path
    this.options = options
    this.checkOrigin = compileOrigin(options.origin)
    const own = readLimits(specifics)
    this.quotas = own === null ? [quota] : [quota, new Quota(own, 'route')]
    const keyGenerators = this.quotas.map(({ keyGenerator }) => keyGenerator)
    this.keyGenerators = keyGenerators.some((keyGenerator) => keyGenerator !== null) ? keyGenerators : []
    this.pubSub = connections.pubSub
    this.protocols = specifics.protocols ?? []
    this.callbacks = new RouteCallbacks(instance, specifics)
    this.upgrader = new Upgrader(options)
    this.#attachValidation = specifics.attachValidation === true
    this.#connections = connections
  }

  // More than once: HEAD has a route of its own.
  name (url: string): void {
    if (this.url === '') this.url = url
    this.#connections.addRoute(url, this)
  }

  admit (request: FastifyRequest, reply: FastifyReply, response: UpgradeResponse, next: (error?: Error) => void): void {
    // The client has left during an earlier hook: nobody would give its place back.
    if (!response.isPending) {
      finishAbandoned(request, reply)
      return
    }
    this.#connections.stats.handOver(this.stats)
    const admission = new Admission(this, request, reply)
    response.admission = admission
    admission.start(this.#connections.isClosing, next)
    // All that follows has been called already. Most handshakes are over by now, and need no time-out.
    if (response.isPending) this.#connections.limit(response, this.options.handshakeTimeout)
  }

  handle (request: FastifyRequest, reply: FastifyReply): unknown {
    // Only an upgrade gets here, and its response was made by the upgrade listener.
    const response = upgradeOf(reply.raw) as UpgradeResponse
    const check = checkHandshake(request.raw)
    if (check.error !== null) {
      if (!this.#attachValidation) {
        response.admission?.noteError(check.error)
        throw refuseRequest(reply, check.error)
      }
      request.validationError ??= check.error as NonNullable<FastifyRequest['validationError']>
    }
    return new Handshake(this, request, reply, response, check).run()
  }

  handleOpen (connection: Connection, reservation: Reservation | null): void {
    const session = sessionOf(connection)
    session.reservation = reservation
    this.stats.open++
    this.#connections.headers.share(connection.request.raw)
    this.#connections.add(session, this.options.heartbeat)
  }

  handleStart (connection: Connection, data: object | undefined): void {
    const session = sessionOf(connection)
    session.data = data
    nextTick(start, session, this.options.logLevels.opened)
  }

  handleGone (session: Session, code: number): void {
    session.reservation?.release()
    this.stats.countClose(code)
    this.#connections.remove(session, this.options.heartbeat)
  }

  handleEnding (connection: Connection): void {
    this.#connections.ending.set(connection.id, connection)
  }

  handleEnd (connection: Connection): void {
    this.#connections.ending.delete(connection.id)
  }
}

function start (session: Session, level: ServerOptions['logLevels']['opened']): void {
  const { connection, route: { url: route } } = session
  if (level !== 'silent') connection.log[level]({ connId: connection.id, route, ip: connection.request.ip }, 'WebSocket opened')
  if (openChannel.hasSubscribers) openChannel.publish({ connection, route })
  session.start()
}

// Plugins add their hooks to the lists of a route in onRoute; no two routes may share one, nor write into the user's. Fastify copies
// the options for the HEAD route that it makes of a GET route, but not the lists in them: so each reading of a list copies it.
function withOwnLists (options: RouteOptions): RouteOptions {
  const result = { ...options }
  for (const [name, value] of Object.entries(options)) {
    if (!Array.isArray(value)) continue
    let list: unknown[] = value
    Object.defineProperty(result, name, { enumerable: true, get: () => (list = [...list]), set: (given: unknown[]) => { list = given } })
  }
  return result
}
