// Options are read once, checked once, and frozen. What a route does not say, the plugin's options say.
import { inspect } from 'node:util'
import type { PerMessageDeflateOptions } from 'ws'
import { FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_OPTION_UNKNOWN } from './errors.ts'
import { isToken } from './subprotocol.ts'

/** The options of a WebSocket server, with every default filled in. */
export interface ServerOptions {
  readonly handshakeTimeout: number | false
  readonly closeTimeout: number
  readonly maxPayload: number
  readonly maxFragments: number
  readonly perMessageDeflate: boolean | PerMessageDeflateOptions
  readonly skipUTF8Validation: boolean
  readonly highWaterMark: number
  readonly maxBufferedAmount: number
  readonly heartbeat: number | false
}

type Check = readonly [description: string, isValid: (value: unknown) => boolean]

const MAX_TIMEOUT = 2 ** 31 - 1 // what setTimeout takes

const isPositiveInteger = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) > 0
const isTimeout = (value: unknown): boolean => isPositiveInteger(value) && Number(value) <= MAX_TIMEOUT
const isTimeoutOrFalse = (value: unknown): boolean => value === false || isTimeout(value)
const isBoolean = (value: unknown): boolean => typeof value === 'boolean'
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)
const isFunction = (value: unknown): boolean => typeof value === 'function'
const isProtocolList = (value: unknown): boolean =>
  Array.isArray(value) && value.every((item) => typeof item === 'string' && isToken(item)) && new Set(value).size === value.length

const SERVER_OPTIONS: Record<keyof ServerOptions, Check> = {
  handshakeTimeout: [`a number of milliseconds from 1 to ${MAX_TIMEOUT}, or false`, isTimeoutOrFalse],
  closeTimeout: [`a number of milliseconds from 1 to ${MAX_TIMEOUT}`, isTimeout],
  maxPayload: ['a positive number of bytes', isPositiveInteger],
  maxFragments: ['a positive integer', isPositiveInteger],
  perMessageDeflate: ['a boolean or the options of permessage-deflate', (value) => isBoolean(value) || isObject(value)],
  skipUTF8Validation: ['a boolean', isBoolean],
  highWaterMark: ['a positive number of bytes', isPositiveInteger],
  maxBufferedAmount: ['a positive number of bytes', isPositiveInteger],
  heartbeat: [`a number of milliseconds from 1 to ${MAX_TIMEOUT}, or false`, isTimeoutOrFalse]
}

const ROUTE_OPTIONS: Record<string, Check> = {
  ...SERVER_OPTIONS,
  onHandshake: ['a function', isFunction],
  onConnection: ['a function', isFunction],
  onMessage: ['a function', isFunction],
  onClose: ['a function', isFunction],
  onError: ['a function', isFunction],
  handler: ['a function', isFunction],
  protocols: ['a list of different tokens', isProtocolList]
}

// Fastify's own callbacks on a route. Any other `onSomething` would never be called.
const FASTIFY_CALLBACKS = new Set(['onRequest', 'onSend', 'onResponse', 'onTimeout', 'onRequestAbort'])

const HINTS: Record<string, string> = {
  wsHandler: ': the callback for an open connection is "onConnection"',
  url: ': the path is the first argument',
  path: ': the path is the first argument',
  websocket: ': every route of websocketRoute() is a WebSocket route'
}

/** Reads the plugin's options. @throws FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_OPTION_INVALID */
export function readPluginOptions (options: object, bodyLimit: number): ServerOptions {
  for (const name of Object.keys(options)) {
    // Fastify itself reads `prefix`, `logLevel` and `logSerializers` of a plugin's options.
    if (Object.hasOwn(SERVER_OPTIONS, name) || name === 'prefix' || name.startsWith('log')) continue
    throw FST_ERR_WS_OPTION_UNKNOWN(name, suggestion(name, SERVER_OPTIONS))
  }
  checkValues(options, SERVER_OPTIONS)
  return withDefaults(options, {
    handshakeTimeout: 10_000,
    closeTimeout: 5_000,
    maxPayload: bodyLimit,
    maxFragments: 1024,
    perMessageDeflate: false,
    skipUTF8Validation: false,
    highWaterMark: 65_536,
    maxBufferedAmount: 4_194_304,
    heartbeat: 30_000
  })
}

/** Checks a route's options. @throws FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_OPTION_INVALID */
export function checkRouteOptions (options: unknown): asserts options is Record<string, unknown> {
  if (!isObject(options)) throw FST_ERR_WS_OPTION_INVALID('options', 'an object', inspect(options))
  const given = options as Record<string, unknown>
  for (const name of Object.keys(given)) checkRouteOptionName(name)
  checkValues(given, ROUTE_OPTIONS)

  const { method, handlerTimeout, handler } = given
  if (method !== undefined && String(method).toUpperCase() !== 'GET') {
    throw FST_ERR_WS_OPTION_INVALID('method', '"GET" or left out, as a WebSocket handshake is a GET', inspect(method))
  }
  if (handlerTimeout !== undefined && handler === undefined) {
    throw FST_ERR_WS_OPTION_INVALID('handlerTimeout', 'left out unless there is a "handler": the handshake has "handshakeTimeout"', inspect(handlerTimeout))
  }
}

/** The options of one route. A route's own `bodyLimit` stands for `maxPayload` where that is not set. */
export function readServerOptions (options: Record<string, unknown>, defaults: ServerOptions): ServerOptions {
  const { bodyLimit } = options
  return withDefaults(options, bodyLimit === undefined ? defaults : { ...defaults, maxPayload: bodyLimit as number })
}

// Other plugins read options of their own from a route, so a name that is not known is wrong only where it looks like
// one of ours.
function checkRouteOptionName (name: string): void {
  if (Object.hasOwn(ROUTE_OPTIONS, name) || FASTIFY_CALLBACKS.has(name)) return
  const hint = Object.hasOwn(HINTS, name) ? HINTS[name] : suggestion(name, ROUTE_OPTIONS)
  if (hint !== '' || /^on[A-Z]/.test(name)) throw FST_ERR_WS_OPTION_UNKNOWN(name, hint)
}

function checkValues (options: object, checks: Readonly<Record<string, Check>>): void {
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (check === undefined || value === undefined) continue
    const [description, isValid] = check
    if (!isValid(value)) throw FST_ERR_WS_OPTION_INVALID(name, description, inspect(value))
  }
}

function withDefaults (options: object, defaults: ServerOptions): ServerOptions {
  const result: Record<string, unknown> = { ...defaults }
  for (const name of Object.keys(SERVER_OPTIONS)) {
    const value = (options as Record<string, unknown>)[name]
    if (value !== undefined) result[name] = value
  }
  return Object.freeze(result) as unknown as ServerOptions
}

function suggestion (name: string, known: object): string {
  const nearest = Object.keys(known).find((candidate) => isMisspelling(name.toLowerCase(), candidate.toLowerCase()))
  return nearest === undefined ? '' : `: did you mean "${nearest}"?`
}

// At most one letter too many, too few or wrong, or two of them swapped.
function isMisspelling (name: string, candidate: string): boolean {
  let start = 0
  while (start < name.length && name[start] === candidate[start]) start++
  const [given, wanted] = [name.slice(start), candidate.slice(start)]
  const isSwapped = given.slice(2) === wanted.slice(2) && given[0] === wanted[1] && given[1] === wanted[0]
  return isSwapped || given.slice(1) === wanted.slice(1) || given === wanted.slice(1) || given.slice(1) === wanted
}
