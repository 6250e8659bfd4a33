// What `conn.reject()` answers: a status and a body, from what it was given and what it was not.
import { STATUS_CODES } from 'node:http'
import { inspect } from 'node:util'
import { FST_ERR_WS_REJECT_CODE } from '../errors.ts'

/** @throws FST_ERR_WS_REJECT_CODE */
export function refusalCode (code: unknown, body: unknown): number {
  const value = code ?? (isResponse(body) ? body.status : 403)
  if (!Number.isInteger(value) || Number(value) < 300 || Number(value) > 599) throw FST_ERR_WS_REJECT_CODE(inspect(value))
  return Number(value)
}

export function refusalBody (code: number, body: unknown): unknown {
  if (body === undefined) {
    // Fastify's own error shape. A redirect needs no body.
    if (code < 400) return undefined
    return { statusCode: code, error: STATUS_CODES[code] ?? 'Unknown', message: 'The WebSocket handshake was rejected' }
  }
  // Fastify takes the status of a Response over the one that the reply has; here the code that was asked for counts.
  if (isResponse(body) && body.status !== code) return new Response(body.body, { status: code, headers: body.headers })
  return body
}

// As Fastify tells it: a Response of another realm, or of the undici package, is one too.
function isResponse (body: unknown): body is Response {
  return Object.prototype.toString.call(body) === '[object Response]'
}
