// fastify.websockets: all connections of a server.
import { inspect } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import { WebSocket } from 'ws'
import type { WebSocketConnection } from '../../types/connection.ts'
import type { BroadcastOptions, DrainOptions, DrainProgress, ValuesOptions, WebSockets, WebSocketStats } from '../../types/websockets.ts'
import type { ConnectionRoute } from '../connection/connection-route.ts'
import { type Connection, sessionOf } from '../connection/connection.ts'
import { FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_ROUTE_UNKNOWN } from '../errors.ts'
import { checkAll } from '../options/checks.ts'
import { BROADCAST_OPTIONS, VALUES_OPTIONS } from '../options/option-checks.ts'
import type { FramedMessage } from '../send/framed-message.ts'
import { isThenable } from '../thenable.ts'
import { catchUp } from '../topics/fan-out.ts'
import { PublishedMessage } from '../topics/published-message.ts'
import type { Connections } from './connections.ts'
import { drain } from './drain.ts'

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
    const { pubSub, stats } = this.#connections
    return stats.snapshot(this.size, pubSub.size, pubSub.emitterStats)
  }

  get (id: number): WebSocketConnection | undefined {
    return this.#connections.open.get(id) as WebSocketConnection | undefined
  }

  [Symbol.iterator] (): IterableIterator<WebSocketConnection> {
    return this.values()
  }

  values (options: ValuesOptions = {}): IterableIterator<WebSocketConnection> {
    checkAll(options, VALUES_OPTIONS)
    const { open, routes } = this.#connections
    const { route } = options
    if (route === undefined) return open[Symbol.iterator]() as IterableIterator<unknown> as IterableIterator<WebSocketConnection>
    const matching = routes.get(route)
    if (matching === undefined) throw FST_ERR_WS_ROUTE_UNKNOWN(inspect(route), [...routes.keys()].join(', '))
    return onRoutes(open, matching) as IterableIterator<unknown> as IterableIterator<WebSocketConnection>
  }

  broadcast (message: unknown, options: BroadcastOptions = {}): number {
    checkAll(options, BROADCAST_OPTIONS)
    const { filter, route } = options
    // It is serialised for all before it is sent to anybody: an error leaves nothing half done.
    const recipients: Connection[] = []
    const published = new PublishedMessage(message, null)
    for (const listed of this.values({ route })) {
      const connection = listed as unknown as Connection
      if (!isOpen(connection) || (filter !== undefined && !passes(filter, listed))) continue
      published.prepare(sessionOf(connection).route.messages.encode)
      recipients.push(connection)
    }
    // It may be closed by now: by a filter, or by an onError that was told of a slow consumer.
    let count = 0
    for (const connection of recipients) {
      if (!isOpen(connection)) continue
      const session = sessionOf(connection)
      catchUp(session)
      session.deliver(published.for(session) as FramedMessage)
      count++
    }
    return count
  }

  publish (topic: string, message: unknown): number {
    return this.#connections.pubSub.publish(topic, message, null)
  }

  subscribers (topic: string): number {
    return this.#connections.pubSub.subscribers(topic)
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

function isOpen ({ readyState }: Connection): boolean {
  return readyState === WebSocket.OPEN
}

// A promise is truthy, whatever it resolves to.
function passes (filter: (connection: WebSocketConnection) => unknown, connection: WebSocketConnection): boolean {
  const result = filter(connection)
  if (!isThenable(result)) return Boolean(result)
  Promise.resolve(result).catch(() => {})
  throw FST_ERR_WS_OPTION_INVALID('filter', 'a function that returns a boolean', 'one that returns a promise')
}

function * onRoutes (connections: Iterable<Connection>, routes: ReadonlySet<ConnectionRoute>): IterableIterator<Connection> {
  for (const connection of connections) if (routes.has(sessionOf(connection).route)) yield connection
}
