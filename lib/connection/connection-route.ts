import type { Socket } from 'node:net'
import type { ConnectionClose } from '../../types/close.ts'
import type { MessageCodec } from '../messages/message-schemas.ts'
import type { PacedStream } from '../receive/paced-stream.ts'
import type { SharedDeflate } from '../send/shared-deflate.ts'
import type { ServerOptions } from '../server-options.ts'
import type { PubSub } from '../topics/pub-sub.ts'
import type { Traffic } from '../traffic.ts'
import type { Connection } from './connection.ts'
import type { ContainedCalls } from './contained-calls.ts'
import type { Session } from './session.ts'

/** What the application does with its connections. None of these throws but the first two. */
export interface ConnectionCallbacks {
  readonly hasOnMessage: boolean
  callOnConnection (session: ContainedCalls): unknown
  callOnMessage (session: ContainedCalls, message: unknown): unknown
  /** Returns a promise if that of `onClose` has not settled. It never rejects. */
  callOnClose (session: ContainedCalls, close: ConnectionClose): void | Promise<void>
  /** Never throws. An error of the peer is one that ws has found in what the peer sent. */
  handleError (session: ContainedCalls, error: unknown, isOfPeer: boolean): void
}

/** What a connection counts for among the limits. */
export interface Reservation {
  release (): void
}

/** What all connections of a route share. */
export interface ConnectionRoute {
  /** Its path as it was declared, with its prefix. */
  readonly url: string
  readonly options: ServerOptions
  readonly messages: MessageCodec
  /** The topics of the server. */
  readonly pubSub: PubSub
  readonly callbacks: ConnectionCallbacks
  /** What its connections have received and sent, and how many messages nobody took. */
  readonly stats: { readonly received: Traffic, readonly sent: Traffic, discarded: number }
  /** The socket of a connection is gone; this code decided the close. */
  handleGone (session: Session, code: number): void
  /** Its `onClose` has not settled yet. */
  handleEnding (connection: Connection): void
  /** Its `onClose` has settled. */
  handleEnd (connection: Connection): void
}

/** What ws opens a connection on: the socket itself, or a stream in front of it. */
export interface Transport {
  readonly socket: Socket
  readonly paced: PacedStream | null
  /** What compresses messages that go to many, if what was agreed on allows it. */
  deflate: SharedDeflate | null
}
