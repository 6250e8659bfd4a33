// fastify.websockets: all connections of a server.
import type { FastifyBaseLogger } from 'fastify'
import { inspect } from 'node:util'
import { WebSocket } from 'ws'
import type { WebSocketConnection } from '../types/connection.ts'
import type { BroadcastOptions, DrainOptions, DrainProgress, ValuesOptions, WebSockets, WebSocketStats } from '../types/websockets.ts'
import type { Connection } from './connection.ts'
import type { ConnectionRoute } from './connection-route.ts'
import type { Connections } from './connections.ts'
import { drain } from './drain.ts'
import { FST_ERR_WS_ROUTE_UNKNOWN } from './errors.ts'
import { FramedMessage } from './framed-message.ts'
import type { MessageCodec } from './message-schemas.ts'

type Encode = MessageCodec['encode']

export class ServerWebSockets implements WebSockets {
  readonly #connections: Connections
  readonly #log: FastifyBaseLogger
  #draining: Promise<Omit<DrainProgress, 'remaining'>> | null = null

  constructor (connections: Connections, log: FastifyBaseLogger) {
    this.#connections = connections
    this.#log = log
  }

  get size (): number {
    return this.#connections.open.size
  }

  get stats (): WebSocketStats {
    return this.#connections.stats.snapshot(this.size)
  }

  get (id: number): WebSocketConnection | undefined {
    return this.#connections.open.get(id) as WebSocketConnection | undefined
  }

  [Symbol.iterator] (): IterableIterator<WebSocketConnection> {
    return this.values()
  }

  values ({ route }: ValuesOptions = {}): IterableIterator<WebSocketConnection> {
    const { open, routes } = this.#connections
    if (route === undefined) return open[Symbol.iterator]() as IterableIterator<unknown> as IterableIterator<WebSocketConnection>
    const matching = routes.get(route)
    if (matching === undefined) throw FST_ERR_WS_ROUTE_UNKNOWN(inspect(route), [...routes.keys()].join(', '))
    return onRoutes(open, matching) as IterableIterator<unknown> as IterableIterator<WebSocketConnection>
  }

  broadcast (message: unknown, { filter, route }: BroadcastOptions = {}): number {
    // Nothing is sent before all of it is known to be right.
    const recipients: Connection[] = []
    const framed = new Map<Encode, FramedMessage>()
    for (const listed of this.values({ route })) {
      const connection = listed as unknown as Connection
      if (connection.readyState !== WebSocket.OPEN || filter?.(listed) === false) continue
      const { encode } = connection.route.messages
      if (!framed.has(encode)) framed.set(encode, new FramedMessage(encode(message)))
      recipients.push(connection)
    }
    for (const connection of recipients) connection.sendFramed(framed.get(connection.route.messages.encode) as FramedMessage)
    return recipients.length
  }

  drain (options: DrainOptions = {}): Promise<Omit<DrainProgress, 'remaining'>> {
    if (this.#draining !== null) return this.#draining
    const draining = drain(this.#connections, options, this.#log)
    // One that was refused for its options has not begun.
    draining.catch(() => { this.#draining = null })
    this.#draining = draining
    return draining
  }
}

function * onRoutes (connections: Iterable<Connection>, routes: ReadonlySet<ConnectionRoute>): IterableIterator<Connection> {
  for (const connection of connections) if (routes.has(connection.route)) yield connection
}
