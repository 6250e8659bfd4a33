// fastify.injectWebSocket(): a client without a network, for tests.
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { WebSocket } from 'ws'

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

/** A client of `ws` that is connected to this server in memory. */
export interface InjectedWebSocket extends WebSocket {
  /** The 101. */
  readonly response: {
    readonly statusCode: number
    readonly headers: IncomingHttpHeaders
  }
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
