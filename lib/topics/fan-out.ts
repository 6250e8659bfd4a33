// One message to all subscribers of a topic. To very many it goes in slices, and between two of them the event loop serves
// everybody else:
//
//   publish() ─→ some ─→ │ other clients │ ─→ some ─→ │ other clients │ ─→ …
//
// For each of them it is as if it had been sent at once: whatever else is sent to a connection, or ends its subscription or
// the connection itself, comes by catchUp(), which sends first what the connection still waits for.
import { endTurn } from '../send/end-of-turn.ts'
import type { FramedMessage } from '../send/framed-message.ts'
import { SliceSize } from './slice-size.ts'
import type { Topic } from './topics.ts'
import { now, setImmediate } from '../timers.ts'

/** Somebody who subscribes. */
export interface Recipient {
  /** Sends a message, without a look at what it still waits for. */
  deliver (message: FramedMessage): void
}

/** A message as each of its recipients gets it. */
export interface MessageForAll<Member> {
  /** `undefined`: it is not for this one. */
  for (member: Member): FramedMessage | undefined
}

// A topic with no more has all sent to at once.
const FEW = 50
// The system call is most of it, so that further messages to the same one cost less, and one that has been sent to already
// next to nothing.
const COST_OF_FURTHER = 1 / 4
const COST_OF_NONE = 1 / 16
// Who publishes faster than this process can send has it all sent on the spot: what waits here takes memory.
const MAX_IN_PROGRESS = 32

class Delivery<Member extends Recipient = Recipient> {
  readonly #topic: Topic<Member>
  readonly #number: number
  readonly #message: MessageForAll<Member>
  readonly #rest: Iterator<Member>
  isDone = false

  constructor (topic: Topic<Member>, message: MessageForAll<Member>) {
    this.#topic = topic
    this.#number = ++topic.published
    this.#message = message
    // Those who leave are not visited, and those who come meanwhile have this number already.
    this.#rest = topic.members.keys()
  }

  /** Sends it to the next ones, with all else that is on its way to them. Returns what is left of the budget. */
  advance (budget: number): number {
    let left = budget
    while (left > 0) {
      const next = this.#rest.next()
      if (next.done === true) {
        this.isDone = true
        return left
      }
      const count = catchUp(next.value)
      left -= count === 0 ? COST_OF_NONE : 1 + (count - 1) * COST_OF_FURTHER
    }
    return 0
  }

  /** Sends it to one, if that has not been done, and returns whether it had not. */
  sendTo (member: Member): boolean {
    const { members } = this.#topic
    const last = members.get(member)
    if (last === undefined || last >= this.#number) return false
    // First: who is sent to may publish, and catch up.
    members.set(member, this.#number)
    const message = this.#message.for(member)
    if (message !== undefined) member.deliver(message)
    return true
  }
}

// The oldest first. All of the process: they share its event loop.
const inProgress: Delivery[] = []
let isScheduled = false
const pace = new SliceSize()

/** Sends a message to all who subscribe to a topic at this moment. */
export function fanOut<Member extends Recipient> (topic: Topic<Member>, message: MessageForAll<Member>): void {
  const delivery = new Delivery(topic, message)
  const isFirst = inProgress.push(delivery as unknown as Delivery) === 1
  if (isFirst) advance()
  else if (inProgress.length > MAX_IN_PROGRESS) finish()
  // A few are not made to wait for many.
  else if (topic.members.size <= FEW) for (const member of topic.members.keys()) catchUp(member)
}

/** Sends to one what is on its way to it, and returns how many messages that were. */
export function catchUp (recipient: Recipient): number {
  if (inProgress.length === 0) return 0
  if (inProgress.length === 1) return Number((inProgress[0] as Delivery).sendTo(recipient))
  let count = 0
  // A copy: who is sent to may publish, and have all of it finished.
  for (const delivery of [...inProgress]) count += Number(delivery.sendTo(recipient))
  return count
}

// Sends to the next ones. Returns whether there are more.
function advance (): boolean {
  try {
    let left = pace.size
    while (left > 0 && inProgress.length > 0) {
      const delivery = inProgress[0] as Delivery
      left = delivery.advance(left)
      if (delivery.isDone) remove(delivery)
    }
    return left <= 0
  } finally {
    // Last, so that it comes behind the end of a turn that has been asked for.
    if (inProgress.length > 0 && !isScheduled) {
      isScheduled = true
      setImmediate(goOn)
    }
  }
}

// What others have been sent meanwhile has left by now, and this slice does so at once.
function goOn (): void {
  isScheduled = false
  const since = now()
  const isWhole = advance()
  endTurn()
  if (isWhole) pace.note(now() - since)
}

function finish (): void {
  while (inProgress.length > 0) {
    const delivery = inProgress[0] as Delivery
    delivery.advance(Infinity)
    remove(delivery)
  }
}

// It may have been finished while it sent.
function remove (delivery: Delivery): void {
  if (inProgress[0] === delivery) inProgress.shift()
}

// Before what waits for the end of the turn is let out.
process.prependListener('exit', finish)
