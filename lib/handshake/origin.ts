// Which pages may open a WebSocket. A browser sends its cookies with a handshake to any site, and no preflight asks before
// (RFC 6455 section 10.2); the Origin header is all that tells whose page it was.
import type { FastifyRequest } from 'fastify'
import type { OriginFunction, OriginOption } from '../../types/server-options.ts'

/** Whether a page of this origin may; only asked for requests that carry one. */
export type OriginCheck = (origin: string, request: FastifyRequest) => boolean | PromiseLike<boolean>

// scheme://host:port, and nothing else (RFC 6454 section 6.2), but for the slash that some clients and many people write behind it.
const SERIALISED = /^[a-z][a-z0-9+.-]*:\/\/[^/?#@\\\s]+\/?$/i
// Clients that are no browser write the scheme that they connect by.
const WEB_SCHEME = /^(?:http|ws)s?:$/i
const HOST = /^[^/?#@\\\s]+$/
const PLAIN_HOST = /^[a-z0-9.-]+(?::\d+)?$/

export function compileOrigin (option: OriginOption): OriginCheck {
  if (option === true) return () => true
  if (typeof option === 'function') return (origin, request) => exactly(option, origin, request)
  const checks = (Array.isArray(option) ? option : [option as string | RegExp]).map(compileRule)
  return (origin, request) => checks.some((check) => check(origin, request))
}

export function isOriginOption (value: unknown): boolean {
  if (value === true || typeof value === 'function') return true
  return Array.isArray(value) ? value.length > 0 && value.every(isRule) : isRule(value)
}

function isRule (value: unknown): boolean {
  return value instanceof RegExp || value === 'same' || value === 'null' || (typeof value === 'string' && normalise(value) !== null)
}

function compileRule (rule: string | RegExp): (origin: string, request: FastifyRequest) => boolean {
  if (rule === 'same') return isSameOrigin
  if (typeof rule === 'string') {
    const allowed = normalise(rule)
    return rule === 'null' ? (origin) => origin === rule : (origin) => normalise(origin) === allowed
  }
  // These two flags would make it remember where the last origin matched.
  const pattern = new RegExp(rule.source, rule.flags.replace(/[gy]/g, ''))
  return (origin) => pattern.test(origin)
}

// Host and port are compared, not the scheme: behind a proxy that ends TLS nobody here knows it.
function isSameOrigin (origin: string, { host }: FastifyRequest): boolean {
  if (host !== undefined && isLiterallySame(origin, host)) return true
  const [scheme = ''] = origin.split('//', 1)
  if (!WEB_SCHEME.test(scheme) || !SERIALISED.test(origin) || host === undefined || !HOST.test(host)) return false
  const [theirs, ours] = [parse(origin), parse(`${scheme}//${host}`)]
  return theirs !== null && theirs.host === ours?.host
}

// As browsers write nearly all of them: it needs no parser to compare these (bench/handshakes.ts, browser headers).
function isLiterallySame (origin: string, host: string): boolean {
  const start = origin.length - host.length
  return (start === 7 || start === 8) && origin.startsWith(start === 7 ? 'http://' : 'https://') && origin.endsWith(host) && PLAIN_HOST.test(host)
}

// The URL parser of the web brings case, punycode, IPv6 and default ports into one form; it knows those of http, https, ws and wss.
function normalise (origin: string): string | null {
  if (!SERIALISED.test(origin)) return null
  const url = parse(origin)
  if (url === null) return null
  return url.origin === 'null' ? origin.toLowerCase().replace(/\/$/, '') : url.origin.replace(/^ws/, 'http')
}

function parse (text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null
}

// Only `true` is a yes: whatever else a function returns by mistake keeps the door shut.
function exactly (check: OriginFunction, origin: string, request: FastifyRequest): boolean | PromiseLike<boolean> {
  const result = check(origin, request)
  return typeof result === 'object' && result !== null ? Promise.resolve(result).then((value) => value === true) : result === true
}
