// What each option may be, and what is said of one that is not, or that does not exist.
import { inspect } from 'node:util'
import type { InjectOptions, NextOptions } from '../../types/inject.ts'
import type { CloseOptions, DrainOptions, ValuesOptions } from '../../types/websockets.ts'
import { FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_OPTION_UNKNOWN } from '../errors.ts'
import type { LimitOptions } from '../handshake/limits.ts'
import { isOriginOption } from '../handshake/origin.ts'
import { isToken } from '../handshake/subprotocol.ts'
import type { ServerOptions } from '../server-options.ts'
import {
  type Check, type Checks, checkValues, isBoolean, isFunction, isObject, isPositiveInt32, isPositiveInteger, isPositiveIntegerOrInfinity, isString,
  MAX_INT32, suggestion
} from './checks.ts'
import { checkDeflateOptions } from './deflate-options.ts'

const LOG_LINES = new Set(['refused', 'opened', 'closed'])
const LOG_LEVELS = new Set(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])

const isNumber = (value: unknown): boolean => typeof value === 'number'
const isServerList = (value: unknown): boolean =>
  Array.isArray(value) && value.every((item) => isObject(item) && typeof item.listen === 'function' && typeof item.on === 'function')
const isEmitter = (value: unknown): boolean => isObject(value) && ['on', 'emit', 'removeListener'].every((name) => isFunction(value[name]))
const isLogLevels = (value: unknown): boolean =>
  isObject(value) && Object.entries(value as object).every(([name, level]) => LOG_LINES.has(name) && (level === undefined || LOG_LEVELS.has(level)))
const isProtocolList = (value: unknown): boolean =>
  Array.isArray(value) && value.every((item) => typeof item === 'string' && isToken(item)) && new Set(value).size === value.length

const MILLISECONDS: Check = [`a number of milliseconds from 1 to ${MAX_INT32}`, isPositiveInt32]
const MILLISECONDS_OR_FALSE: Check = [`a number of milliseconds from 1 to ${MAX_INT32}, or false`, (value) => value === false || isPositiveInt32(value)]
const INTEGER_OR_INFINITY: Check = ['a positive integer, or Infinity', isPositiveIntegerOrInfinity]
const BYTES: Check = ['a positive number of bytes', isPositiveInteger]
const PROTOCOLS: Check = ['a list of different tokens', isProtocolList]
const BOOLEAN: Check = ['a boolean', isBoolean]
const FUNCTION: Check = ['a function', isFunction]

const SERVER_OPTIONS: Checks<ServerOptions> = {
  handshakeTimeout: MILLISECONDS_OR_FALSE,
  closeTimeout: MILLISECONDS,
  maxPayload: [`a number of bytes from 1 to ${MAX_INT32}`, isPositiveInt32],
  maxFragments: [`an integer from 1 to ${MAX_INT32}`, isPositiveInt32],
  perMessageDeflate: ['a boolean or the options of permessage-deflate', (value) => isBoolean(value) || isObject(value)],
  skipUTF8Validation: BOOLEAN,
  highWaterMark: BYTES,
  maxBufferedAmount: BYTES,
  cork: BOOLEAN,
  heartbeat: MILLISECONDS_OR_FALSE,
  origin: ['true, "same", "null", an origin such as "https://app.example", a RegExp, a list of these, or a function', isOriginOption],
  logLevels: ['an object with a level of the logger, or "silent", for "refused", "opened" or "closed"', isLogLevels]
}

const LIMIT_OPTIONS: Checks<LimitOptions> = {
  maxConnections: INTEGER_OR_INFINITY,
  maxConnectionsPerKey: INTEGER_OR_INFINITY,
  maxPendingHandshakes: INTEGER_OR_INFINITY,
  keyGenerator: FUNCTION
}

const PLUGIN_OPTIONS: Checks<Record<string, unknown>> = {
  ...SERVER_OPTIONS,
  ...LIMIT_OPTIONS,
  servers: ['a list of servers of node:http or node:https', isServerList],
  emitter: ['an mqemitter, with on(), emit() and removeListener()', isEmitter]
}

export const DRAIN_OPTIONS: Checks<DrainOptions> = {
  code: ['a number', isNumber],
  reason: ['a string', isString],
  batchSize: ['a positive integer', isPositiveInteger],
  interval: MILLISECONDS,
  timeout: MILLISECONDS,
  onProgress: FUNCTION
}

export const VALUES_OPTIONS: Checks<ValuesOptions> = {
  route: ['the path of a route', isString],
  topic: ['a string', isString],
  filter: FUNCTION
}

export const CLOSE_OPTIONS: Checks<CloseOptions> = {
  ...VALUES_OPTIONS,
  code: ['a number', isNumber],
  reason: ['a string', isString]
}

export const INJECT_OPTIONS: Checks<InjectOptions> = {
  headers: ['an object', isObject],
  protocols: PROTOCOLS,
  remoteAddress: ['a string', isString],
  signal: ['an AbortSignal', (value) => value instanceof AbortSignal],
  timeout: MILLISECONDS
}

export const NEXT_OPTIONS: Checks<NextOptions> = {
  timeout: MILLISECONDS
}

const ROUTE_OPTIONS: Checks<Record<string, unknown>> = {
  ...SERVER_OPTIONS,
  ...LIMIT_OPTIONS,
  onHandshake: FUNCTION,
  onConnection: FUNCTION,
  onMessage: FUNCTION,
  onClose: FUNCTION,
  onError: FUNCTION,
  handler: FUNCTION,
  protocols: PROTOCOLS
}

// What Fastify itself reads of a plugin's options, and of a route's.
const FASTIFY_OPTIONS = new Set(['prefix', 'logLevel', 'logSerializers'])

// Fastify's own callbacks on a route. Any other `onSomething` would never be called.
const FASTIFY_CALLBACKS = new Set(['onRequest', 'onSend', 'onResponse', 'onTimeout', 'onRequestAbort', 'errorHandler'])

// What other WebSocket servers call it, and what does it here.
const HINTS: Record<string, string> = {
  verifyClient: ': call conn.reject() in "onHandshake" of a route',
  handleProtocols: ': list "protocols" on a route, or call conn.acceptWith({ protocol }) in "onHandshake"',
  subprotocols: ': a route has "protocols"',
  upgrade: ': the callback for a handshake is "onHandshake" of a route',
  open: ': the callback for an open connection is "onConnection" of a route',
  message: ': the callback for messages is "onMessage" of a route',
  wsHandler: ': the callback for an open connection is "onConnection"',
  idleTimeout: ': "heartbeat" ends connections whose peer is gone',
  options: ': what ws calls so stands here by itself, such as "maxPayload"',
  errorHandler: ': errors of connections go to "onError" of a route, those of handshakes to its error handler',
  preClose: ': connections get 1001 when the server closes; a hook of fastify.addHook(\'preClose\') runs before',
  receive: ': it stands in "schema"',
  send: ': it stands in "schema"',
  url: ': the path is the first argument',
  path: ': the path is the first argument',
  websocket: ': every route of websocketRoute() is a WebSocket route'
}

const ROUTE_ONLY = ['onHandshake', 'onConnection', 'onMessage', 'onClose', 'onError', 'handler', 'protocols', 'schema']

export const SERVER_NAMES = Object.keys(SERVER_OPTIONS)
export const LIMIT_NAMES = Object.keys(LIMIT_OPTIONS) as Array<keyof LimitOptions>

/** @throws FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_OPTION_INVALID */
export function checkPluginOptions (options: object): void {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(PLUGIN_OPTIONS, name) && !FASTIFY_OPTIONS.has(name)) throw FST_ERR_WS_OPTION_UNKNOWN(name, ' of the plugin', pluginHint(name))
  }
  checkValues(options, PLUGIN_OPTIONS)
  checkDeflateOptions((options as Partial<ServerOptions>).perMessageDeflate)
}

/** @throws FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_OPTION_INVALID */
export function checkRouteOptions (options: unknown, path: string): asserts options is Record<string, unknown> {
  if (!isObject(options)) throw FST_ERR_WS_OPTION_INVALID('options', 'an object', inspect(options))
  for (const name of Object.keys(options)) checkRouteOptionName(name, path)
  checkValues(options, ROUTE_OPTIONS)
  checkDeflateOptions(options.perMessageDeflate)

  const { method, handlerTimeout, handler } = options
  if (method !== undefined && String(method).toUpperCase() !== 'GET') {
    throw FST_ERR_WS_OPTION_INVALID('method', '"GET" or left out, as a WebSocket handshake is a GET', inspect(method))
  }
  if (handlerTimeout !== undefined && handler === undefined) {
    throw FST_ERR_WS_OPTION_INVALID('handlerTimeout', 'left out unless there is a "handler": the handshake has "handshakeTimeout"', inspect(handlerTimeout))
  }
}

// Other plugins read options of their own from a route, so a name that is not known is wrong only where it looks like
// one of ours.
function checkRouteOptionName (name: string, path: string): void {
  if (Object.hasOwn(ROUTE_OPTIONS, name) || FASTIFY_CALLBACKS.has(name) || FASTIFY_OPTIONS.has(name)) return
  const hint = HINTS[Object.hasOwn(HINTS, name) ? name : ''] ?? suggestion(name, Object.keys(ROUTE_OPTIONS))
  if (hint !== '' || /^on[A-Z]/.test(name)) throw FST_ERR_WS_OPTION_UNKNOWN(name, ` of the WebSocket route "${path}"`, hint)
}

function pluginHint (name: string): string {
  if (ROUTE_ONLY.includes(name)) return ': a route has it'
  return HINTS[Object.hasOwn(HINTS, name) ? name : ''] ?? suggestion(name, Object.keys(PLUGIN_OPTIONS))
}
