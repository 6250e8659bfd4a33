import type { Socket } from 'node:net'
import type { ConnectionClose } from '../types/close.ts'
import type { Connection } from './connection.ts'
import type { MessageCodec } from './message-schemas.ts'
import type { ServerOptions } from './options.ts'
import type { PacedStream } from './paced-stream.ts'

/** What the application does with its connections. None of these throws but the first two. */
export interface ConnectionCallbacks {
  readonly hasOnMessage: boolean
  callOnConnection (connection: Connection): unknown
  callOnMessage (connection: Connection, message: unknown): unknown
  callOnClose (connection: Connection, close: ConnectionClose): void
  handleError (connection: Connection, error: unknown): void
}

/** What all connections of a route share. */
export interface ConnectionRoute {
  readonly options: ServerOptions
  readonly messages: MessageCodec
  readonly callbacks: ConnectionCallbacks
  /** A connection has closed. */
  handleGone (connection: Connection): void
}

/** What ws opens a connection on: the socket itself, or a stream in front of it. */
export interface Transport {
  readonly socket: Socket
  readonly paced: PacedStream | null
}
