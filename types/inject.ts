// fastify.injectWebSocket(): a client without a network, for tests.
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { WebSocket } from 'ws'
import type { ConnectionClose } from './close.ts'

export interface InjectOptions {
  /** Further headers of the handshake: `cookie`, `authorization`, `origin`, `host` … */
  headers?: OutgoingHttpHeaders | undefined
  /**
   * The subprotocols that the client offers, most preferred first.
   *
   * @default []
   */
  protocols?: string[] | undefined
  /**
   * What `request.ip` is, unless `trustProxy` has it otherwise.
   *
   * @default '127.0.0.1'
   */
  remoteAddress?: string | undefined
  /** Makes the client leave without a word, before the answer or after it. */
  signal?: AbortSignal | undefined
  /**
   * Milliseconds that the client waits for the instance to be ready, and for an answer. The route's `handshakeTimeout` comes first by default.
   *
   * @default 30000
   */
  timeout?: number | undefined
}

export interface NextOptions {
  /**
   * Milliseconds to wait for a message.
   *
   * @default 2000
   */
  timeout?: number | undefined
}

/** How a client's connection has closed: 1005 for a close frame without a code, 1006 without a close frame. */
export type ClientClose = Pick<ConnectionClose, 'code' | 'reason'>

/**
 * A client of `ws` that is connected to this server in memory. It keeps every message until `next()`, `nextJson()` or
 * `messages()` takes it, each message once; listeners for `'message'` get all of them. It does not keep the process alive.
 */
export interface InjectedWebSocket extends WebSocket {
  /** The 101. */
  readonly response: {
    readonly statusCode: number
    readonly headers: IncomingHttpHeaders
  }
  /**
   * Takes the next message as `onMessage` would get it without a schema: a string, or a Buffer for a binary one. Messages that
   * have come already are taken first, in order. While it waits it keeps the process alive.
   *
   * Rejects with `FST_ERR_WS_NEXT` (`received`, `close`) if no message comes in time, or the connection has closed; with
   * `FST_ERR_WS_OPTION_INVALID` or `FST_ERR_WS_OPTION_UNKNOWN` for wrong options.
   */
  next (options?: NextOptions): Promise<string | Buffer>
  /**
   * Takes the next message, and parses it. The type of what comes is yours to name: `client.nextJson<{ text: string }>()`.
   *
   * Rejects as `next()` does, and with `FST_ERR_WS_NEXT_JSON` if it is a binary message or no JSON.
   */
  nextJson<Value = unknown> (options?: NextOptions): Promise<Value>
  /** Resolves when the connection has closed, and never rejects. */
  readonly closed: Promise<ClientClose>
  /**
   * The messages from the first one on, whenever this is called: strings, and Buffers for binary ones. It ends when the
   * connection is closed; `break` leaves it open, and a later call goes on where it stopped.
   */
  messages (): AsyncIterableIterator<string | Buffer, undefined>
}

/** What `fastify.injectWebSocket()` rejects with when the handshake is refused: `FST_ERR_WS_REFUSED`. */
export interface RefusedHandshake extends Error {
  readonly code: 'FST_ERR_WS_REFUSED'
  /** The status of the refusal. */
  readonly statusCode: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** What `client.next()` rejects with when there is no message: `FST_ERR_WS_NEXT`. */
export interface NoMessage extends Error {
  readonly code: 'FST_ERR_WS_NEXT'
  /** The last messages that came before, five at most, whoever has taken them. */
  readonly received: ReadonlyArray<string | Buffer>
  /** How the connection has closed; `null` while it has not. */
  readonly close: ClientClose | null
}
