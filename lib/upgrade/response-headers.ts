// The fields of the answer to an upgrade, from what writeHead() was given and what the response has.
import { type OutgoingHttpHeader, type OutgoingHttpHeaders, validateHeaderName, validateHeaderValue } from 'node:http'

export type HeadersArgument = OutgoingHttpHeaders | OutgoingHttpHeader[] | undefined

// A 101 has neither body nor framing (RFC 9110 section 15.2), and the fields of the upgrade itself come from ws.
const NOT_ON_101 = new Set([
  'connection', 'upgrade', 'keep-alive', 'trailer', 'content-length', 'content-type', 'transfer-encoding',
  'sec-websocket-accept', 'sec-websocket-protocol', 'sec-websocket-extensions'
])

export function toObject (headers: HeadersArgument): OutgoingHttpHeaders {
  if (!Array.isArray(headers)) return { ...headers }
  const object: Record<string, string[]> = {}
  for (let i = 0; i < headers.length; i += 2) (object[String(headers[i])] ??= []).push(String(headers[i + 1]))
  return object
}

/** The lines that a 101 has beside those of the upgrade itself. */
export function acceptLines (headers: OutgoingHttpHeaders): string[] {
  const lines: string[] = []
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || NOT_ON_101.has(name.toLowerCase())) continue
    validateHeaderName(name)
    for (const item of Array.isArray(value) ? value : [value]) {
      const line = String(item)
      validateHeaderValue(name, line)
      lines.push(`${name}: ${line}`)
    }
  }
  return lines
}

/** The fields of any other answer, which ends the connection; those that were set already are known by `hasField`. */
export function refusalFields (statusCode: number, headers: OutgoingHttpHeaders, hasField: (name: string) => boolean): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = {}
  let namesUpgrade = hasField('upgrade')
  for (const name of Object.keys(headers)) {
    const lowerCaseName = name.toLowerCase()
    if (lowerCaseName !== 'connection') fields[name] = headers[name]
    if (lowerCaseName === 'upgrade') namesUpgrade = true
  }
  // RFC 9110 section 15.5.22: a 426 says what to upgrade to.
  if (statusCode === 426 && !namesUpgrade) fields.upgrade = 'websocket'
  // RFC 9110 section 7.8: who sends Upgrade must name it in Connection.
  fields.connection = namesUpgrade || statusCode === 426 ? 'close, Upgrade' : 'close'
  return fields
}
