// The topics of a server: who subscribes, and what is published.
import { WebSocket } from 'ws'
import type { Connection } from './connection.ts'
import { catchUp, fanOut } from './fan-out.ts'
import { Outgoing } from './outgoing.ts'
import { checkTopic } from './topic.ts'
import { type Topic, Topics, type TopicWatcher } from './topics.ts'

export class PubSub implements TopicWatcher {
  readonly #topics = new Topics<Connection>(this)

  /** How many topics have subscribers. */
  get size (): number {
    return this.#topics.size
  }

  /** @throws FST_ERR_WS_TOPIC */
  subscribers (topic: unknown): number {
    checkTopic(topic)
    return this.#topics.get(topic)?.members.size ?? 0
  }

  topicsOf (connection: Connection): string[] {
    return this.#topics.namesOf(connection)
  }

  /** @throws FST_ERR_WS_TOPIC */
  subscribe (connection: Connection, topic: unknown): void {
    checkTopic(topic)
    // From its close on nobody would be sent anything, nor be told of its end.
    if (connection.readyState === WebSocket.OPEN) this.#topics.subscribe(connection, topic)
  }

  /** @throws FST_ERR_WS_TOPIC */
  unsubscribe (connection: Connection, topic: unknown): void {
    checkTopic(topic)
    // What was published before is still for it.
    catchUp(connection)
    this.#topics.unsubscribe(connection, topic)
  }

  /** The socket of a connection is gone. */
  drop (connection: Connection): void {
    this.#topics.drop(connection)
  }

  /**
   * Publishes to all but the publisher, and returns to how many.
   *
   * @throws FST_ERR_WS_TOPIC, FST_ERR_WS_SEND_INVALID
   */
  publish (topic: unknown, message: unknown, publisher: Connection | null): number {
    checkTopic(topic)
    const outgoing = new Outgoing(message)
    // What does not fit its own route is wrong whoever listens.
    if (publisher !== null) outgoing.prepare(publisher.route.messages.encode)
    const local = this.#topics.get(topic)
    return local === undefined ? 0 : this.#deliver(local, outgoing, publisher)
  }

  handleFirst (): void {}

  handleLast (): void {}

  #deliver (topic: Topic<Connection>, outgoing: Outgoing, excluded: Connection | null): number {
    // Nothing is sent before all of it is known to be right.
    let count = 0
    for (const connection of topic.members.keys()) {
      if (connection === excluded || connection.readyState !== WebSocket.OPEN) continue
      outgoing.prepare(connection.route.messages.encode)
      count++
    }
    if (count > 0) fanOut(topic, { for: (connection) => connection === excluded ? undefined : outgoing.get(connection.route.messages.encode) })
    return count
  }
}
