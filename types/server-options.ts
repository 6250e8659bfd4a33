// The options of the plugin: defaults for its routes, and limits for all of them.
import type { Server } from 'node:http'
import type { FastifyRequest } from 'fastify'
import type { PerMessageDeflateOptions } from 'ws'
import type { Emitter } from './emitter.ts'

/** What can be set on the plugin, for all routes, and again on a route. */
export interface WebSocketServerOptions {
  /**
   * Milliseconds from the arrival of the request to the answer, with all hooks, the error handler and `onSend`. After it
   * `request.signal` is aborted and the error handler answers `FST_ERR_WS_HANDSHAKE_TIMEOUT` (503); if it, or `onSend`, waits for
   * something, a plain 503 is sent. `false`: none but the server's own `handlerTimeout`.
   *
   * @default 10000
   */
  handshakeTimeout?: number | false | undefined
  /**
   * Milliseconds that a peer has to answer a close frame before its socket is destroyed, and that one which has ended its
   * side without a close frame may take nothing of what waits for it; on the plugin it also limits how long
   * `fastify.close()` waits for all of them.
   *
   * @default 5000
   */
  closeTimeout?: number | undefined
  /**
   * The longest message that is received, in bytes, after decompression. A longer one closes the connection with 1009. At most
   * 2147483647.
   *
   * A message that is not complete is kept in the pieces in which it has come, each of which costs some 700 bytes more. One in more
   * pieces than there are 128 bytes in `maxPayload`, and than 1024, closes the connection with 1008.
   *
   * @default the route's `bodyLimit`, or the server's (1 MiB)
   */
  maxPayload?: number | undefined
  /**
   * How many fragments a message may have. One with more closes the connection with 1008.
   *
   * @default one for 128 bytes of `maxPayload`, 1024 at least
   */
  maxFragments?: number | undefined
  /**
   * Compression (RFC 7692): `true`, or its parameters as `ws` takes them. An offer that cannot be met is declined. Parameters that
   * `ws` or `node:zlib` would not take fail at registration.
   *
   * @default false
   */
  perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined
  /**
   * Skips the check that text messages and close reasons are UTF-8 (RFC 6455 section 8.1). For clients that are trusted.
   *
   * @default false
   */
  skipUTF8Validation?: boolean | undefined
  /**
   * How many bytes may wait to be sent to a peer before it counts as slow: then `conn.sendMessage()` returns `false`, and
   * nothing more is read from the peer until it has taken what waits.
   *
   * @default 65536
   */
  highWaterMark?: number | undefined
  /**
   * How many bytes may wait to be sent to a peer at most. A message that is sent while more is waiting is not queued:
   * `FST_ERR_WS_SLOW_CONSUMER` goes to `onError`, and the connection is terminated.
   *
   * @default 4194304
   */
  maxBufferedAmount?: number | undefined
  /**
   * What is sent to one peer within a turn of the event loop leaves at the end of that turn, together: one system call
   * instead of one for each message. `false`: each message leaves as it is sent, also before work that blocks the event loop.
   *
   * @default true
   */
  cork?: boolean | undefined
  /**
   * Milliseconds between two pings. A peer from which nothing was heard, no answer and no other byte, is pinged again,
   * and terminated when it is silent for a second interval. `false`: no heartbeat.
   *
   * @default 30000
   */
  heartbeat?: number | false | undefined
  /**
   * Which pages may open a WebSocket. A browser sends its cookies to any site, and says in `Origin` whose page it was; a
   * request without that header is from no browser, and passes.
   *
   * - `'same'`: host and port of the origin are those of `request.host` (so `trustProxy` counts); the scheme, `http:`, `https:`, `ws:`
   *   or `wss:`, is not compared
   * - `true`: any
   * - a string: this origin, such as `'https://app.example'`, to which `'wss://app.example/'` is the same; `'null'`: pages that
   *   have none, as of a file or a sandbox
   * - a RegExp: tested on the origin as it came, so anchor it: `/^https:\/\/[a-z0-9-]+\.app\.example$/`
   * - a list: one of these
   * - a function: says `true`, or a promise for it
   *
   * Any other is refused with 403, `FST_ERR_WS_ORIGIN`.
   *
   * @default 'same'
   */
  origin?: OriginOption | undefined
  /**
   * At which level a handshake that was refused, a connection that has opened, and one that has closed are logged.
   *
   * @default { refused: 'info', opened: 'info', closed: 'info' }
   */
  logLevels?: LogLevels | undefined
}

/** Decides on an origin. Whatever it returns that is not `true` refuses; what it throws is answered by the error handler. */
export type OriginFunction = (origin: string, request: FastifyRequest) => boolean | PromiseLike<boolean>
export type OriginOption = true | string | RegExp | Array<string | RegExp> | OriginFunction

/** A level of the logger. */
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

export interface LogLevels {
  /** A handshake that was answered with another status than 101: `statusCode`, `reason`. */
  refused?: LogLevel | undefined
  /** `connId`. */
  opened?: LogLevel | undefined
  /** `connId`, `code`, `reason`, `initiator`, `duration`, `received`, `sent`. */
  closed?: LogLevel | undefined
}

/** Limits: on the plugin for all of its routes together, on a route for that one beside those. */
export interface WebSocketLimits {
  /**
   * How many connections there may be. A handshake counts from its first hook on. One too many is answered with 503
   * (`FST_ERR_WS_MAX_CONNECTIONS`) and `Retry-After`.
   *
   * @default Infinity
   */
  maxConnections?: number | undefined
  /**
   * How many connections there may be for one key. One too many is answered with 429
   * (`FST_ERR_WS_MAX_CONNECTIONS_PER_KEY`) and `Retry-After`.
   *
   * @default Infinity
   */
  maxConnectionsPerKey?: number | undefined
  /**
   * What `maxConnectionsPerKey` counts by. It runs before all hooks that were added after the plugin. Clients without an
   * address, as over a Unix socket without `trustProxy`, count as one.
   *
   * @default (request) => request.ip
   */
  keyGenerator?: ((request: FastifyRequest) => string | PromiseLike<string>) | undefined
  /**
   * How many handshakes may be without an answer at once. One too many is answered with 503
   * (`FST_ERR_WS_MAX_PENDING_HANDSHAKES`) and `Retry-After`.
   *
   * @default 1000 on the plugin, Infinity on a route
   */
  maxPendingHandshakes?: number | undefined
}

/** The options of the plugin: defaults for its routes, limits for all of them together, and where to listen. */
export interface WebSocketPluginOptions extends WebSocketServerOptions, WebSocketLimits {
  /**
   * Further http or https servers on which the same routes take handshakes; 503 before `fastify.ready()`. Their plain requests and
   * their closing are yours; `fastify.close()` closes the WebSockets that came through them, and leaves nothing on them.
   *
   * @default []
   */
  servers?: readonly Server[] | undefined
  /**
   * What carries published messages to other processes, and theirs to this one: an
   * [mqemitter](https://github.com/mcollina/mqemitter), such as mqemitter-redis. It stays yours: close it when the server has
   * closed.
   *
   * @default none: topics are those of this process
   */
  emitter?: Emitter | undefined
}
