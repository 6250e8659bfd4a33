import type { FastifySchema } from 'fastify'

/**
 * The schema of a WebSocket route: a route's schema, with a header schema wherever a response has headers to describe.
 *
 * - `response[101].headers`: what `conn.acceptWith()` must be given
 * - `response[code]`: the body of a refusal, or `{ headers, content: { 'application/json': { schema } } }`
 */
export interface WebSocketSchema extends Omit<FastifySchema, 'body'> {
  /** A handshake has no body. */
  body?: never
}
