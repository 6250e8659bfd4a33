// The messages of one topic that some of its subscribers have not been sent yet. They leave in passes over all subscribers; each
// visit sends one all that waits for it, so that a message that is published during a pass needs one more for those at its
// beginning:
//
//   subscribers   a b c d e f │ a b c d e f │
//   gets          1 1 1 1 1 1 │ 2 2 - - - - │    2 was published when c was about to be sent to
//                     2 2 2 2 │             │
import type { FramedMessage } from '../send/framed-message.ts'
import type { Subscriber, Topic } from './topics.ts'

/** A message as each subscriber gets it. */
export interface MessageForAll {
  /** In bytes. */
  readonly size: number
  /** `undefined`: it is not for this one. */
  for (subscriber: Subscriber): FramedMessage | undefined
}

interface Entry {
  readonly message: MessageForAll
  /** Its number among all messages of the process. */
  readonly order: number
}

/** The topics of the process that have any, the one first whose turn it is: they share its event loop. */
export const inProgress: Topic[] = []

/** All that waits in them. */
export const backlog = { deliveries: 0, bytes: 0 }

let lastOrder = 0

export class Deliveries {
  readonly #topic: Topic
  readonly #entries: Entry[] = [] // the last ones that were published
  #count = 0 // of deliveries
  #pass: Iterator<Subscriber, undefined> | null = null
  #passEnd: number // the last message that all have been sent when the pass is over

  private constructor (topic: Topic) {
    this.#topic = topic
    this.#passEnd = topic.published + 1
    inProgress.push(topic)
  }

  /** Adds a message for all who subscribe at this moment. */
  static add (topic: Topic, message: MessageForAll): void {
    const deliveries = topic.deliveries ??= new Deliveries(topic)
    topic.published++
    deliveries.#entries.push({ message, order: ++lastOrder })
    backlog.bytes += message.size
    deliveries.#add(topic.members.size)
  }

  /** The number among all messages of the process of the next one for a subscriber; `Infinity` if there is none. */
  orderFor (subscriber: Subscriber): number {
    return this.#nextFor(this.#topic.members.get(subscriber) ?? Infinity)?.order ?? Infinity
  }

  /** Sends a subscriber the next one, and returns how many come after it; -1 if there was none. */
  sendNext (subscriber: Subscriber): number {
    const { members } = this.#topic
    const last = members.get(subscriber) ?? Infinity
    const entry = this.#nextFor(last)
    if (entry === undefined) return -1
    // First: who is sent to may publish, and catch up.
    members.set(subscriber, last + 1)
    this.#add(-1)
    const message = entry.message.for(subscriber)
    if (message !== undefined) subscriber.deliver(message)
    return this.#topic.published - last - 1
  }

  /** A subscriber leaves that has been sent all up to this one. */
  handleLeaving (last: number): void {
    this.#add(last - this.#topic.published)
  }

  /** The next to be sent to; `undefined` when a pass is over, which gives the others their turn. */
  nextSubscriber (): Subscriber | undefined {
    const { members, published } = this.#topic
    this.#pass ??= members.keys()
    const { value } = this.#pass.next()
    if (value !== undefined) return value
    const done = this.#entries.splice(0, this.#entries.length - (published - this.#passEnd))
    for (const { message } of done) backlog.bytes -= message.size
    this.#passEnd = published
    this.#pass = null
    inProgress.push(inProgress.shift() as Topic)
    return undefined
  }

  #nextFor (last: number): Entry | undefined {
    return this.#entries[this.#entries.length - (this.#topic.published - last)]
  }

  #add (count: number): void {
    this.#count += count
    backlog.deliveries += count
    if (this.#count > 0) return
    for (const { message } of this.#entries) backlog.bytes -= message.size
    this.#topic.deliveries = null
    const index = inProgress.lastIndexOf(this.#topic)
    if (index === inProgress.length - 1) inProgress.pop()
    else inProgress.splice(index, 1)
  }
}
