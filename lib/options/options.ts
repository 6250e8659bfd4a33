// Options are read once, checked once, and frozen. What a route does not say, the plugin's options say.
import type { FastifyRequest } from 'fastify'
import type { InjectOptions, NextOptions } from '../../types/inject.ts'
import type { CloseOptions, DrainOptions } from '../../types/websockets.ts'
import type { LimitOptions } from '../handshake/limits.ts'
import type { ServerOptions } from '../server-options.ts'
import { checkAll, MAX_INT32 } from './checks.ts'
import { checkPluginOptions, CLOSE_OPTIONS, DRAIN_OPTIONS, INJECT_OPTIONS, LIMIT_NAMES, NEXT_OPTIONS, SERVER_NAMES } from './option-checks.ts'

// With every option there but a few.
type Filled<Options, Optional extends keyof Options> =
  { [Name in Exclude<keyof Options, Optional>]-?: Exclude<Options[Name], undefined> } & { [Name in Optional]: Options[Name] | undefined }

const DEFAULT_LOG_LEVELS: ServerOptions['logLevels'] = { refused: 'info', opened: 'info', closed: 'info' }

/** Reads the plugin's options. @throws FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_OPTION_INVALID */
export function readPluginOptions (options: object, bodyLimit: number): ServerOptions {
  checkPluginOptions(options)
  return withDefaults(options, {
    handshakeTimeout: 10_000,
    closeTimeout: 5_000,
    maxPayload: capped(bodyLimit),
    maxFragments: null,
    perMessageDeflate: false,
    skipUTF8Validation: false,
    highWaterMark: 65_536,
    maxBufferedAmount: 4_194_304,
    cork: true,
    heartbeat: 30_000,
    origin: 'same',
    logLevels: DEFAULT_LOG_LEVELS
  })
}

/** Reads the options of `fastify.websockets.drain()`. @throws FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_OPTION_INVALID */
export function readDrainOptions (options: unknown): Filled<DrainOptions, 'onProgress' | 'timeout'> {
  checkAll(options, DRAIN_OPTIONS)
  const { code = 1012, reason = 'The server is restarting', batchSize = 100, interval = 1_000, timeout, onProgress } = options
  return { code, reason, batchSize, interval, timeout, onProgress }
}

/** Reads the options of `fastify.websockets.close()`. @throws FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_OPTION_INVALID */
export function readCloseOptions (options: unknown): Filled<CloseOptions, 'route' | 'topic' | 'filter'> {
  checkAll(options, CLOSE_OPTIONS)
  const { route, topic, filter, code = 1000, reason = '' } = options
  return { route, topic, filter, code, reason }
}

/** Reads the options of `fastify.injectWebSocket()`. @throws FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_OPTION_INVALID */
export function readInjectOptions (options: unknown): Filled<InjectOptions, 'signal'> {
  checkAll(options, INJECT_OPTIONS)
  const { headers = {}, protocols = [], remoteAddress = '127.0.0.1', timeout = 30_000, signal } = options
  return { headers, protocols, remoteAddress, timeout, signal }
}

/** Reads the options of `client.next()`. @throws FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_OPTION_INVALID */
export function readNextOptions (options: unknown): Filled<NextOptions, never> {
  checkAll(options, NEXT_OPTIONS)
  const { timeout = 2_000 } = options
  return { timeout }
}

/** Reads the limits of the plugin, with its defaults, or those of a route: `null` if it has none. */
export function readLimits (options: object, defaults: { readonly maxPendingHandshakes: number }): LimitOptions
export function readLimits (options: object): LimitOptions | null
export function readLimits (options: Partial<LimitOptions>, defaults?: object): LimitOptions | null {
  const given = LIMIT_NAMES.filter((name) => options[name] !== undefined)
  if (defaults === undefined && given.every((name) => name === 'keyGenerator')) return null
  return {
    maxConnections: Infinity,
    maxConnectionsPerKey: Infinity,
    maxPendingHandshakes: Infinity,
    keyGenerator: ({ ip }: FastifyRequest) => ip,
    ...defaults,
    ...Object.fromEntries(given.map((name) => [name, options[name]]))
  }
}

/** The options of one route. A route's own `bodyLimit` stands for `maxPayload` where that is not set. */
export function readServerOptions (options: Record<string, unknown>, defaults: ServerOptions): ServerOptions {
  const { bodyLimit } = options
  return withDefaults(options, bodyLimit === undefined ? defaults : { ...defaults, maxPayload: capped(bodyLimit as number) })
}

// ws makes a 32-bit number of it.
function capped (bodyLimit: number): number {
  return Math.min(bodyLimit, MAX_INT32)
}

function withDefaults (options: object, defaults: ServerOptions): ServerOptions {
  const result: Record<string, unknown> = { ...defaults }
  for (const name of SERVER_NAMES) {
    const value = (options as Record<string, unknown>)[name]
    if (value !== undefined) result[name] = value
  }
  const levels = Object.entries((options as { logLevels?: object }).logLevels ?? {}).filter(([, level]) => level !== undefined)
  result.logLevels = Object.freeze({ ...defaults.logLevels, ...Object.fromEntries(levels) })
  return Object.freeze(result) as unknown as ServerOptions
}
