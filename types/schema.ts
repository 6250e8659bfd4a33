import type { FastifySchema } from 'fastify'

/**
 * The schema of a WebSocket route: a route's schema without a body, and with a header schema wherever an answer to the
 * handshake has headers to describe, and with schemas for the messages.
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
  /**
   * The messages that the client sends, as text: JSON that fits this schema, validated as a body is, with coercion,
   * defaults and removal of additional properties as the instance's validator compiler has them. Any other message is
   * `FST_ERR_WS_MESSAGE_INVALID`, which goes to `onError`; by default it closes the connection with 1007, a binary one
   * with 1003 (RFC 6455 section 7.4.1).
   *
   * To take binary messages too, say so by media type:
   * `receive: { content: { 'application/json': { schema }, 'application/octet-stream': {} } }`.
   */
  receive?: unknown
  /**
   * The messages that `conn.sendMessage()` sends, as JSON by the instance's serializer compiler. With
   * `send: { content: { 'application/json': { schema }, 'application/octet-stream': {} } }` it takes binary data too.
   */
  send?: unknown
}
