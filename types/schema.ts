import type { FastifySchema } from 'fastify'

/**
 * The schema of a WebSocket route: a route's schema without a body, and with a header schema wherever an answer to the
 * handshake has headers to describe.
 */
export interface WebSocketSchema extends Omit<FastifySchema, 'body' | 'response'> {
  /** A handshake has no body. */
  body?: never
  /**
   * The answers to the handshake, by status.
   *
   * - `101: { headers }`: the headers that `conn.acceptWith()` takes
   * - `401: body`: the body of a refusal; `'4xx'` and `default` stand for every status that has no entry of its own
   * - `401: { headers }`, `401: { headers, content: { 'application/json': { schema } } }`: the headers of a refusal, alone
   *   or with the body
   */
  response?: unknown
}
