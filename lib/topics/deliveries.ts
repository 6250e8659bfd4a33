// The messages of one topic that some of its subscribers have not been sent yet. They are sent in passes over all subscribers.
// Each visit sends a subscriber everything that waits for it, so a message that is published during a pass takes a second one
// only to those who were visited before:
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
  /** Returns `undefined` if the message is not for this one. */
  for (subscriber: Subscriber): FramedMessage | undefined
}

interface Entry {
  readonly message: MessageForAll
  /** Its number among all messages of the process. */
  readonly order: number
}

/** The topics of the process that have deliveries, in the order of their turns: they share one event loop. */
export const inProgress: Topic[] = []

/** What waits in all of them. */
export const backlog = { deliveries: 0, bytes: 0 }

let lastOrder = 0

export class Deliveries {
  readonly #topic: Topic
  readonly #entries: Entry[] = [] // up to the message that was published last
  #count = 0 // deliveries that are left
  #pass: Iterator<Subscriber, undefined> | null = null
  #passEnd: number // when the pass is over, all have been sent the messages up to this one

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

  /** Returns the `order` of the next message for a subscriber, or `Infinity` if there is none. */
  orderFor (subscriber: Subscriber): number {
    return this.#nextFor(this.#topic.members.get(subscriber) ?? Infinity)?.order ?? Infinity
  }

  /** Sends a subscriber its next message. Returns how many more wait for it, or -1 if there was none. */
  sendNext (subscriber: Subscriber): number {
    const { members } = this.#topic
    const last = members.get(subscriber) ?? Infinity
    const entry = this.#nextFor(last)
    if (entry === undefined) return -1
    // Before it is sent: a handler that runs there may publish, and come back here.
    members.set(subscriber, last + 1)
    this.#add(-1)
    const message = entry.message.for(subscriber)
    if (message !== undefined) subscriber.deliver(message)
    return this.#topic.published - last - 1
  }

  /** A subscriber leaves that has been sent the messages up to this one. */
  handleLeaving (last: number): void {
    this.#add(last - this.#topic.published)
  }

  /** Returns who is to be sent to next, or `undefined` when a pass is over: then it is the turn of the next topic. */
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
