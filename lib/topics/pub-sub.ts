// The topics of a server: who subscribes, and what is published.
import { inspect } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import { WebSocket } from 'ws'
import type { Emitter, EmitterStats } from '../../types/emitter.ts'
import { FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_TOPIC } from '../errors.ts'
import { EmitterLink } from './emitter-link.ts'
import type { RemoteMessage } from './emitter-message.ts'
import { catchUp, fanOut } from './fan-out.ts'
import { PublishedMessage } from './published-message.ts'
import { type Subscriber, type Topic, Topics, topicsOf } from './topics.ts'

export type { Subscriber } from './topics.ts'

const MAX_TOPIC_BYTES = 255

export class PubSub {
  readonly #topics = new Topics()
  #emitter: Emitter | null = null
  #log: FastifyBaseLogger | null = null

  /** Says what carries messages to other processes. @throws FST_ERR_WS_OPTION_INVALID */
  use (emitter: Emitter, log: FastifyBaseLogger): void {
    if (this.#emitter !== null && this.#emitter !== emitter) {
      throw FST_ERR_WS_OPTION_INVALID('emitter', 'the same in all registrations on one server', 'another one')
    }
    this.#emitter = emitter
    this.#log = log
  }

  /** The server is ready: from now on there is a link to other processes. */
  start (): void {
    if (this.#emitter === null || this.#topics.link !== null) return
    this.#topics.link = new EmitterLink(this.#emitter, this.#log as FastifyBaseLogger, this)
    this.#topics.link.start()
  }

  /** The server is closed. */
  stop (): void {
    this.#topics.link?.close()
    this.#topics.link = null
  }

  /** `null` without an emitter, and when the server is closed. */
  get emitterStats (): EmitterStats | null {
    return this.#topics.link?.stats ?? null
  }

  /** How many topics have subscribers. */
  get size (): number {
    return this.#topics.size
  }

  /** @throws FST_ERR_WS_TOPIC */
  subscribers (topic: unknown): number {
    checkTopic(topic)
    return this.#topics.get(topic)?.members.size ?? 0
  }

  /** Who subscribes to a topic at this moment, but for those who have left it when their turn comes. @throws FST_ERR_WS_TOPIC */
  members (topic: unknown): Iterable<Subscriber> {
    checkTopic(topic)
    const members = this.#topics.get(topic)?.members
    return members === undefined ? [] : stillAmong(members, [...members.keys()])
  }

  topicsOf (connection: Subscriber): string[] {
    return Array.from(topicsOf(connection), ({ name }) => name)
  }

  /** @throws FST_ERR_WS_TOPIC */
  subscribe (connection: Subscriber, topic: unknown): void {
    checkTopic(topic)
    // One that is closing gets nothing any more, and once it has closed nobody would end its subscription.
    if (connection.readyState === WebSocket.OPEN) this.#topics.subscribe(connection, topic)
  }

  /** @throws FST_ERR_WS_TOPIC */
  unsubscribe (connection: Subscriber, topic: unknown): void {
    checkTopic(topic)
    // What was published before is still for it.
    catchUp(connection)
    this.#topics.unsubscribe(connection, topic)
  }

  /** Ends all subscriptions of a connection whose socket is gone. */
  drop (connection: Subscriber): void {
    this.#topics.drop(connection)
  }

  /**
   * Publishes to all but the publisher, unless that is to have it too, and returns to how many.
   *
   * @throws FST_ERR_WS_TOPIC, FST_ERR_WS_SEND_INVALID
   */
  publish (topic: unknown, message: unknown, publisher: Subscriber | null, isForPublisher = false): number {
    checkTopic(topic)
    const published = new PublishedMessage(message, isForPublisher ? null : publisher)
    // A message that does not fit the publisher's own route is an error, whoever subscribes.
    if (publisher !== null) published.prepare(publisher.route.messages.encode)
    const { link } = this.#topics
    const payload = link === null ? null : published.payload
    const local = this.#topics.get(topic)
    // It is serialised for all before it is sent to anybody: an error leaves nothing half done.
    const count = local === undefined ? 0 : published.prepareFor(local.members.keys())
    // Before the local ones: a handler that runs there may publish in turn.
    if (payload !== null) link?.publish(topic, payload)
    if (local !== undefined && count > 0) fanOut(local, published)
    return count
  }

  /** Publishes a message of another process. */
  receive (name: string, { value, raw }: RemoteMessage, log: FastifyBaseLogger): void {
    // The link has no subscription for a topic without subscribers.
    const topic = this.#topics.get(name) as Topic
    const published = new PublishedMessage(value, null, raw)
    const count = published.prepareFor(topic.members.keys(), (err) => {
      // There is no caller to throw to, and the connections of other routes get it all the same.
      log.error({ err, topic: name }, 'A message of another process does not fit schema.send')
    })
    if (count > 0) fanOut(topic, published)
  }
}

function * stillAmong (members: ReadonlyMap<Subscriber, unknown>, listed: readonly Subscriber[]): Iterable<Subscriber> {
  for (const member of listed) if (members.has(member)) yield member
}

function checkTopic (topic: unknown): asserts topic is string {
  if (typeof topic !== 'string' || topic === '' || !isShortAndWhole(topic)) throw FST_ERR_WS_TOPIC(inspect(topic, { depth: 0, maxStringLength: 60 }))
}

// Half of a surrogate pair is no character: in UTF-8 all such topics would be the same one.
function isShortAndWhole (topic: string): boolean {
  if (topic.length > MAX_TOPIC_BYTES) return false
  const bytes = Buffer.byteLength(topic)
  return bytes === topic.length || (bytes <= MAX_TOPIC_BYTES && Buffer.from(topic).toString() === topic)
}
