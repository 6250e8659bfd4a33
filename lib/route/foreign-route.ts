import type { FastifyInstance } from 'fastify'
import { FST_ERR_WS_FOREIGN_ROUTE } from '../errors.ts'

// What @fastify/websocket reads from a route.
interface ForeignOptions {
  readonly url: string
  readonly websocket?: unknown
  readonly wsHandler?: unknown
}

/**
 * Fastify ignores options that it does not know: without @fastify/websocket the handshake would be served as a plain request.
 *
 * @throws FST_ERR_WS_FOREIGN_ROUTE
 */
export function refuseForeignRoute (instance: FastifyInstance, { url, websocket, wsHandler }: ForeignOptions): void {
  if ((websocket !== true && wsHandler === undefined) || instance.hasPlugin('@fastify/websocket')) return
  throw FST_ERR_WS_FOREIGN_ROUTE(url, wsHandler === undefined ? 'websocket' : 'wsHandler', url)
}
