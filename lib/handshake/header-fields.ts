// The headers that a callback gave, on their way to the wire: checked against the protocol's own fields, against the
// route's schema and against RFC 9110, in this order, before anything else happens.
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { inspect } from 'node:util'
import { FST_ERR_WS_ARGUMENT, FST_ERR_WS_HEADER_INVALID, FST_ERR_WS_HEADER_RESERVED } from '../errors.ts'
import type { HeaderValidator } from './header-schemas.ts'

export type Method = 'acceptWith' | 'reject'

/** Header fields that are ready for `reply.headers()`. */
export type HeaderFields = Record<string, string | string[]>

// The handshake sets these, or they belong to the message framing (RFC 9112 section 6).
const RESERVED = new Set(['connection', 'upgrade', 'content-length', 'transfer-encoding'])
const RESERVED_PREFIX = 'sec-websocket-'

const NONE: HeaderFields = Object.freeze({})

/**
 * Checks headers as a user wrote them.
 *
 * @throws FST_ERR_WS_ARGUMENT, FST_ERR_WS_HEADER_RESERVED, FST_ERR_WS_HEADER_INVALID, or what `validate` throws
 */
export function checkHeaders (headers: unknown, method: Method, validate: HeaderValidator | undefined): HeaderFields {
  if (headers === undefined && validate === undefined) return NONE
  const given = headers ?? {}
  if (typeof given !== 'object' || Array.isArray(given)) {
    throw FST_ERR_WS_ARGUMENT(method, 'an object as "headers"', inspect(given))
  }
  const names = new Set<string>()
  for (const name of Object.keys(given)) checkName(name, method, names)

  const fields: HeaderFields = {}
  for (const [name, value] of Object.entries(validate === undefined ? given : validate(given))) {
    fields[name] = Array.isArray(value) ? value.map((item) => fieldLine(name, item, method)) : fieldLine(name, value, method)
  }
  return fields
}

function checkName (name: string, method: Method, seen: Set<string>): void {
  try {
    validateHeaderName(name)
  } catch {
    throw invalid(name, method, 'the name must be a token (RFC 9110 section 5.1)')
  }
  const lowerCase = name.toLowerCase()
  if (RESERVED.has(lowerCase) || lowerCase.startsWith(RESERVED_PREFIX)) throw FST_ERR_WS_HEADER_RESERVED(name, method)
  if (seen.has(lowerCase)) throw invalid(name, method, 'the name is given twice')
  seen.add(lowerCase)
}

function fieldLine (name: string, value: unknown, method: Method): string {
  const isText = typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)
  if (!isText) {
    throw invalid(name, method, `the value must be a string, a number, a boolean or a list of strings, got ${inspect(value)}`)
  }
  const line = String(value)
  try {
    validateHeaderValue(name, line)
  } catch {
    throw invalid(name, method, `the value has a character that no header may have (RFC 9110 section 5.5): ${JSON.stringify(line)}`)
  }
  return line
}

function invalid (name: string, method: Method, what: string): Error {
  return FST_ERR_WS_HEADER_INVALID(JSON.stringify(name), method, what)
}
