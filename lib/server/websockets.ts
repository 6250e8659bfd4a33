// fastify.websockets: all connections of a server.
import type { FastifyBaseLogger } from 'fastify'
import { WebSocket } from 'ws'
import type { WebSocketConnection } from '../../types/connection.ts'
import type { BroadcastOptions, CloseOptions, DrainOptions, DrainProgress, ValuesOptions, WebSockets, WebSocketStats } from '../../types/websockets.ts'
import { checkClose } from '../connection/closing.ts'
import { type Connection, sessionOf } from '../connection/connection.ts'
import { checkAll } from '../options/checks.ts'
import { VALUES_OPTIONS } from '../options/option-checks.ts'
import { readCloseOptions } from '../options/options.ts'
import type { FramedMessage } from '../send/framed-message.ts'
import { catchUp } from '../topics/fan-out.ts'
import { PublishedMessage } from '../topics/published-message.ts'
import type { Connections } from './connections.ts'
import { drain } from './drain.ts'
import { select } from './selection.ts'
import { Stats } from './stats.ts'

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
    const byPath = this.#connections.statsByPath()
    const total = new Stats().add(stats)
    for (const own of byPath.values()) total.add(own)
    const routes = Object.fromEntries(Array.from(byPath, ([path, own]) => [path, own.snapshot()]))
    return { ...total.snapshot(), topics: pubSub.size, emitter: pubSub.emitterStats, routes }
  }

  get (id: number): WebSocketConnection | undefined {
    return this.#connections.open.get(id) as WebSocketConnection | undefined
  }

  [Symbol.iterator] (): IterableIterator<WebSocketConnection> {
    return this.values()
  }

  values (options: ValuesOptions = {}): IterableIterator<WebSocketConnection> {
    checkAll(options, VALUES_OPTIONS)
    return select(this.#connections, options) as IterableIterator<unknown> as IterableIterator<WebSocketConnection>
  }

  broadcast (message: unknown, options: BroadcastOptions = {}): number {
    checkAll(options, VALUES_OPTIONS)
    const published = new PublishedMessage(message, null)
    // It is serialised for all before it is sent to anybody: an error leaves nothing half done.
    const recipients = [...select(this.#connections, options, isOpen)]
    for (const connection of recipients) published.prepare(sessionOf(connection).route.messages.encode)
    return each(recipients, (connection) => {
      const session = sessionOf(connection)
      catchUp(session)
      session.deliver(published.for(session) as FramedMessage)
    })
  }

  close (options: CloseOptions = {}): number {
    const { code, reason, ...selection } = readCloseOptions(options)
    checkClose(code, reason)
    return each([...select(this.#connections, selection, isOpen)], (connection) => connection.close(code, reason))
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

// One may be closed by now: by a filter, or by an onError that was told of a slow consumer.
function each (connections: readonly Connection[], callback: (connection: Connection) => void): number {
  let count = 0
  for (const connection of connections) {
    if (!isOpen(connection)) continue
    callback(connection)
    count++
  }
  return count
}
