// Topics with their subscribers, and subscribers with their topics. Nothing is kept of a topic that has none, nor of anybody
// who has none.
import type { MessageCodec } from '../messages/message-schemas.ts'
import type { FramedMessage } from '../send/framed-message.ts'
import type { Deliveries } from './deliveries.ts'
import type { EmitterLink } from './emitter-link.ts'

/** A connection, as its topics see it. */
export interface Subscriber {
  readonly readyState: number
  readonly route: { readonly messages: MessageCodec }
  /** Sends a message, without a look at what it still waits for. */
  deliver (message: FramedMessage): void
}

export interface Topic {
  readonly name: string
  /** Each with the number of the last message that it has been sent, or that was published before it subscribed. */
  readonly members: Map<Subscriber, number>
  /** The number of the last message. */
  published: number
  /** What its members wait for. */
  deliveries: Deliveries | null
}

// Of all members in the process. Most have one, and a Set takes ten times the room of a reference.
const byMember = new Map<Subscriber, Topic | Set<Topic>>()

/** The topics of a member. */
export function topicsOf (member: Subscriber): readonly Topic[] | ReadonlySet<Topic> {
  const own = byMember.get(member)
  if (own === undefined) return []
  return own instanceof Set ? own : [own]
}

export class Topics {
  /** To the same topics in other processes, while there is one. */
  link: EmitterLink | null = null
  readonly #byName = new Map<string, Topic>()

  /** How many topics have subscribers. */
  get size (): number {
    return this.#byName.size
  }

  get (name: string): Topic | undefined {
    return this.#byName.get(name)
  }

  subscribe (member: Subscriber, name: string): void {
    let topic = this.#byName.get(name)
    if (topic === undefined) {
      this.#byName.set(name, topic = { name, members: new Map(), published: 0, deliveries: null })
      this.link?.subscribe(name)
    }
    if (topic.members.has(member)) return
    topic.members.set(member, topic.published)
    const own = byMember.get(member)
    if (own === undefined) byMember.set(member, topic)
    else if (own instanceof Set) own.add(topic)
    else byMember.set(member, new Set([own, topic]))
  }

  unsubscribe (member: Subscriber, name: string): void {
    const topic = this.#byName.get(name)
    if (topic === undefined || !topic.members.has(member)) return
    const own = byMember.get(member)
    if (own instanceof Set) own.delete(topic)
    if (own === topic || (own as Set<unknown>).size === 0) byMember.delete(member)
    this.#leave(topic, member)
  }

  /** Ends all subscriptions of one. */
  drop (member: Subscriber): void {
    const topics = topicsOf(member)
    byMember.delete(member)
    for (const topic of topics) this.#leave(topic, member)
  }

  #leave (topic: Topic, member: Subscriber): void {
    topic.deliveries?.handleLeaving(topic.members.get(member) as number)
    topic.members.delete(member)
    if (topic.members.size > 0) return
    this.#byName.delete(topic.name)
    this.link?.unsubscribe(topic.name)
  }
}
