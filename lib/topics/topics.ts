// Topics with their subscribers, and subscribers with their topics. Nothing is kept of a topic that has none, nor of anybody
// who has none.

export interface Topic<Member> {
  readonly name: string
  /** Each with the number of the last message that it has been sent, or that was published before it subscribed. */
  readonly members: Map<Member, number>
  /** The number of the last message. */
  published: number
}

/** What has to know which topics there are. */
export interface TopicWatcher {
  /** A topic has its first subscriber. */
  handleFirst (name: string): void
  /** A topic has lost its last subscriber. */
  handleLast (name: string): void
}

export class Topics<Member extends object> {
  readonly #watcher: TopicWatcher
  readonly #byName = new Map<string, Topic<Member>>()
  // Most have one, and a Set takes ten times the room of a reference.
  readonly #byMember = new Map<Member, Topic<Member> | Set<Topic<Member>>>()

  constructor (watcher: TopicWatcher) {
    this.#watcher = watcher
  }

  /** How many topics have subscribers. */
  get size (): number {
    return this.#byName.size
  }

  get (name: string): Topic<Member> | undefined {
    return this.#byName.get(name)
  }

  namesOf (member: Member): string[] {
    return this.#topicsOf(member).map(({ name }) => name)
  }

  subscribe (member: Member, name: string): void {
    let topic = this.#byName.get(name)
    if (topic === undefined) {
      this.#byName.set(name, topic = { name, members: new Map(), published: 0 })
      this.#watcher.handleFirst(name)
    }
    if (topic.members.has(member)) return
    topic.members.set(member, topic.published)
    const own = this.#byMember.get(member)
    if (own === undefined) this.#byMember.set(member, topic)
    else if (own instanceof Set) own.add(topic)
    else this.#byMember.set(member, new Set([own, topic]))
  }

  unsubscribe (member: Member, name: string): void {
    const topic = this.#byName.get(name)
    if (topic === undefined || !topic.members.has(member)) return
    const own = this.#byMember.get(member)
    if (own instanceof Set) own.delete(topic)
    if (own === topic || (own as Set<unknown>).size === 0) this.#byMember.delete(member)
    this.#leave(topic, member)
  }

  /** Ends all subscriptions of one. */
  drop (member: Member): void {
    const topics = this.#topicsOf(member)
    this.#byMember.delete(member)
    for (const topic of topics) this.#leave(topic, member)
  }

  #topicsOf (member: Member): Array<Topic<Member>> {
    const own = this.#byMember.get(member)
    if (own === undefined) return []
    return own instanceof Set ? [...own] : [own]
  }

  #leave (topic: Topic<Member>, member: Member): void {
    topic.members.delete(member)
    if (topic.members.size > 0) return
    this.#byName.delete(topic.name)
    this.#watcher.handleLast(topic.name)
  }
}
