// app.websockets, and what its methods take and return.
import type { WebSocketConnection } from './connection.ts'
import type { EmitterStats } from './emitter.ts'

/** What has happened on a route since it was made, as plain counters. */
export interface RouteStats {
  /** Connections that are open, or closing. */
  readonly open: number
  /** Handshakes that have no answer yet. */
  readonly pending: number
  /** Handshakes that were answered with 101. */
  readonly accepted: number
  /** Handshakes that were answered otherwise, by status. */
  readonly refused: Readonly<Record<number, number>>
  /** Handshakes whose client left before the answer, or whose socket was dropped. */
  readonly aborted: number
  /** Connections that have closed, by the code that decided the close. */
  readonly closed: Readonly<Record<number, number>>
  /** What clients have sent: messages, and bytes of their payload after decompression. */
  readonly received: { readonly messages: number, readonly bytes: number }
  /** What was sent to clients: messages, and bytes of their payload before compression. */
  readonly sent: { readonly messages: number, readonly bytes: number }
  /** Messages that nobody took: there was no `onMessage`, no listener for `'message'` and no iteration. */
  readonly discarded: number
}

/** What has happened on a server since it was made: on all of its routes together, and to handshakes that met none. */
export interface WebSocketStats extends RouteStats {
  /** Topics that have subscribers. */
  readonly topics: number
  /** The emitter that connects this server with other processes; `null` without the option, and when the server has closed. */
  readonly emitter: EmitterStats | null
  /**
   * Each route, by its path as it was declared, with its prefix: `/rooms/:room`. Routes that constraints tell apart on one path
   * count together. A handshake counts for its route from the plugin's first hook on; before, it is in the sum alone.
   */
  readonly routes: Readonly<Record<string, RouteStats>>
}

/** Which connections: those that all of these name, of this process. What is left out, or `undefined`, leaves none out. */
export interface ValuesOptions {
  /** Those of the route with this path, as it was declared, with its prefix: `/rooms/:room`. */
  route?: string | undefined
  /** Those that subscribe to this topic. */
  topic?: string | undefined
  /** Those for which it returns what is truthy, and no promise. */
  filter?: ((conn: WebSocketConnection) => boolean) | undefined
}

/** The filter is asked for all connections before anything is sent; what it throws comes out of `broadcast()`. */
export interface BroadcastOptions extends ValuesOptions {}

/** The filter is asked for all connections before one is closed; what it throws comes out of `close()`. */
export interface CloseOptions extends ValuesOptions {
  /**
   * The close code (RFC 6455 section 7.4): 1000 to 1003, 1007 to 1014 or 3000 to 4999.
   *
   * @default 1000
   */
  code?: number | undefined
  /**
   * The reason in the close frame, at most 123 bytes.
   *
   * @default ''
   */
  reason?: string | undefined
}

/** How far a drain has come. */
export interface DrainProgress {
  /** Connections that are gone, by themselves or after the close frame. */
  readonly closed: number
  /** Connections that were cut because the time was over. */
  readonly terminated: number
  /** Connections that are still there. */
  readonly remaining: number
}

export interface DrainOptions {
  /**
   * The close code (RFC 6455 section 7.4).
   *
   * @default 1012, service restart
   */
  code?: number | undefined
  /**
   * The reason in the close frame, at most 123 bytes.
   *
   * @default 'The server is restarting'
   */
  reason?: string | undefined
  /**
   * How many connections are closed at once.
   *
   * @default 100
   */
  batchSize?: number | undefined
  /**
   * Milliseconds from one batch to the next; each wait is 50 to 150 % of it, by chance, so that several servers that are
   * drained together do not send their clients on at the same moments.
   *
   * @default 1000
   */
  interval?: number | undefined
  /**
   * Milliseconds after which whatever is left is terminated.
   *
   * @default none: every connection has its route's `closeTimeout` from its close frame on
   */
  timeout?: number | undefined
  /** Is called after each batch. What it throws, or rejects with, is logged; it is not waited for. */
  onProgress?: ((progress: DrainProgress) => void) | undefined
}

/** All WebSocket connections of a server: `fastify.websockets`. It is iterable. */
export interface WebSockets extends Iterable<WebSocketConnection> {
  /** How many connections are open, or closing. */
  readonly size: number
  /** Counters since the server was made. Each access takes a new snapshot. */
  readonly stats: WebSocketStats
  /** The connection with this `id`, as long as it is there. */
  get (id: number): WebSocketConnection | undefined
  /**
   * The connections, open or closing: all, or those of a route, of a topic, or that a filter says yes to, which is asked for each
   * when its turn comes.
   *
   * @throws FST_ERR_WS_ROUTE_UNKNOWN if there is no such WebSocket route
   * @throws FST_ERR_WS_TOPIC if the topic is no string of 1 to 255 bytes
   * @throws FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_OPTION_UNKNOWN; an iteration throws the first for a filter that returns a promise
   */
  values (options?: ValuesOptions): IterableIterator<WebSocketConnection>
  /**
   * Sends a message to all connections that are open, or to some, and returns to how many. It is serialised once for each
   * `schema.send`, as by `conn.sendMessage()`, and framed once. Connections that compress without context takeover get one
   * compressed frame for each set of parameters (RFC 7692 section 7.1); others that compress do it themselves. One that is sending
   * a message in fragments gets it behind the last of them (RFC 6455 section 5.4).
   *
   * @throws FST_ERR_WS_SEND_INVALID if it does not fit one of the routes, or is a Blob; nothing has been sent
   * @throws FST_ERR_WS_ROUTE_UNKNOWN if there is no such WebSocket route
   * @throws FST_ERR_WS_TOPIC if the topic is no string of 1 to 255 bytes
   * @throws FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_OPTION_UNKNOWN; the first also for a filter that returns a promise
   */
  broadcast (message: unknown, options?: BroadcastOptions): number
  /**
   * Closes all connections that are open, or those of a route, of a topic, or that a filter says yes to, each as by
   * `conn.close(code, reason)`, and returns how many. What was sent or published to them before goes first. Those of other
   * processes stay.
   *
   * @throws FST_ERR_WS_CLOSE_CODE, FST_ERR_WS_CLOSE_REASON if they may not be sent; nothing has been closed
   * @throws FST_ERR_WS_ROUTE_UNKNOWN if there is no such WebSocket route
   * @throws FST_ERR_WS_TOPIC if the topic is no string of 1 to 255 bytes
   * @throws FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_OPTION_UNKNOWN; the first also for a filter that returns a promise
   */
  close (options?: CloseOptions): number
  /**
   * Sends a message to all who subscribe to a topic, and returns to how many of this process. No connection is left out: who
   * publishes for a client, and not to it, calls `conn.publish()`. It is serialised once for each
   * `schema.send`, as by `conn.sendMessage()`, and framed once; see `conn.subscribe()`. With the option `emitter` it goes to
   * the subscribers of other processes too. To more than 50 it leaves in slices, after this call has returned; with 250 000
   * deliveries or 4 MiB of messages under way in the process it sends the oldest first.
   *
   * @throws FST_ERR_WS_TOPIC if the topic is no string of 1 to 255 bytes
   * @throws FST_ERR_WS_SEND_INVALID if it does not fit the route of one of the subscribers in this process, is a Blob, or is to
   *   go to other processes and cannot be JSON; nothing has been sent
   */
  publish (topic: string, message: unknown): number
  /**
   * How many connections of this process subscribe to a topic. Those that are closing count until their socket is gone.
   *
   * @throws FST_ERR_WS_TOPIC if the topic is no string of 1 to 255 bytes
   */
  subscribers (topic: string): number
  /**
   * Sends the clients away before a deploy: from now on every handshake is answered with 503, while plain HTTP goes on;
   * the connections are closed in batches. Resolves when all are gone. A second call returns the promise of the first.
   *
   * Rejects with `FST_ERR_WS_OPTION_INVALID`, `FST_ERR_WS_OPTION_UNKNOWN`, `FST_ERR_WS_CLOSE_CODE` or
   * `FST_ERR_WS_CLOSE_REASON`; nothing has changed then.
   */
  drain (options?: DrainOptions): Promise<Omit<DrainProgress, 'remaining'>>
}
