// What is wrong in the schema of a route: nothing that looks like a schema for the handshake or its messages is ignored.
import { inspect } from 'node:util'
import { FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_OPTION_UNKNOWN } from '../errors.ts'
import { isObject, suggestion } from './checks.ts'

const OWN_KEYS = ['headers', 'querystring', 'params', 'response', 'receive', 'send']

const HINTS: Record<string, string> = {
  body: ': a handshake has no body, and the messages of the client are "receive"',
  message: ': the messages of the client are "receive", those of the server "send"',
  messages: ': the messages of the client are "receive", those of the server "send"'
}

// What the entry for the 101 may have beside its headers.
const ENTRY_KEYS = new Set(['headers', 'description'])

/** Other plugins read keys of their own (`tags`, `x-…`). @throws FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_OPTION_INVALID */
export function checkSchema (schema: unknown, path: string): void {
  if (schema === undefined) return
  const where = ` of the WebSocket route "${path}"`
  if (!isObject(schema)) throw FST_ERR_WS_OPTION_INVALID('schema', 'an object', inspect(schema))
  for (const name of Object.keys(schema)) {
    if (OWN_KEYS.includes(name)) continue
    const hint = HINTS[Object.hasOwn(HINTS, name) ? name : ''] ?? suggestion(name, OWN_KEYS)
    if (hint !== '') throw FST_ERR_WS_OPTION_UNKNOWN(`schema.${name}`, where, hint)
  }
  const { response } = schema
  if (!isObject(response)) return
  const entry = response['101']
  if (entry === undefined || (isObject(entry) && Object.keys(entry).every((name) => ENTRY_KEYS.has(name) || name.startsWith('x-')))) return
  throw FST_ERR_WS_OPTION_INVALID('schema.response[101]', 'an object with the schema of the headers, { headers: { … } }', inspect(entry, { depth: 0 }))
}
