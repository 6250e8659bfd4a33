// What subscribers of the channels of node:diagnostics_channel are given. docs/operations.md has the names.
import type { FastifyRequest } from 'fastify'
import type { RawData } from 'ws'
import type { ConnectionClose } from './close.ts'
import type { WebSocketConnection } from './connection.ts'
import type { WebSocketError } from './options.ts'

/** Of `tracing:fastify-websocket-route.handshake:*`: one object for the whole handshake. */
export interface HandshakeTrace {
  readonly request: FastifyRequest
  /** The path of the route, as it was declared, with its prefix. */
  readonly route: string
  /** At the answer: 101, the status of a refusal, or 0 if the client left before. */
  statusCode?: number
  /** The error that was answered. */
  error?: unknown
}

/** What all events of a connection have. */
interface ConnectionEvent {
  readonly connection: WebSocketConnection
  /** The path of its route, as it was declared, with its prefix. */
  readonly route: string
}

/** Of `fastify-websocket-route.open`, when the 101 has been written. */
export interface OpenEvent extends ConnectionEvent {}

/** Of `fastify-websocket-route.message.received` and `fastify-websocket-route.message.sent`. */
export interface MessageEvent extends ConnectionEvent {
  /** The payload, before it is parsed, or after it was serialised. */
  readonly data: RawData | string
  readonly isBinary: boolean
}

/** Of `fastify-websocket-route.close`, when the socket is gone. */
export interface CloseEvent extends ConnectionEvent, ConnectionClose {
  /** Milliseconds since the connection was opened. */
  readonly duration: number
}

/** Of `fastify-websocket-route.error`: what goes to `onError`, before it does. */
export interface ErrorEvent extends ConnectionEvent {
  readonly error: WebSocketError
}
