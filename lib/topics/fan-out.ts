// One message to all subscribers of a topic. To very many it goes in slices, and between two of them the event loop serves
// everybody else:
//
//   publish() ─→ some ─→ │ other clients │ ─→ some ─→ │ other clients │ ─→ …
//
// For each of them it is as if it had been sent at once: whatever else is sent to a connection, or ends its subscription or
// the connection itself, comes by catchUp(), which sends first what the connection still waits for.
import { endTurn } from '../send/end-of-turn.ts'
import { now, setImmediate } from '../timers.ts'
import { backlog, Deliveries, inProgress, type MessageForAll } from './deliveries.ts'
import { SliceSize } from './slice-size.ts'
import { type Subscriber, type Topic, topicsOf } from './topics.ts'

// A topic with no more has all sent to at once.
const FEW = 50
// The system call is most of it, so that further messages to the same one cost less, and one that has been sent to already
// next to nothing.
const COST_OF_FURTHER = 1 / 4
const COST_OF_NONE = 1 / 16
// With more topics in progress the own ones of a subscriber are fewer.
const FEW_TOPICS = 4
// Who publishes faster than this process can send sends the oldest itself, as much as is over these. The first is a second or
// two of work. The second is the default of maxBufferedAmount: what one is sent at once does not make it a slow consumer.
const MAX_DELIVERIES = 250_000
const MAX_BYTES = 4_194_304

let isScheduled = false
const pace = new SliceSize()

/** Sends a message to all who subscribe to a topic at this moment. */
export function fanOut (topic: Topic, message: MessageForAll): void {
  const isFirst = inProgress.length === 0
  Deliveries.add(topic, message)
  const { size } = topic.members
  // A few are not made to wait for many.
  if (size <= FEW) for (const member of topic.members.keys()) catchUp(member)
  else if (isFirst) advance(pace.size)
  // What is alone in its place waits there, however much it is.
  while (backlog.deliveries > Math.max(MAX_DELIVERIES, size) || backlog.bytes > Math.max(MAX_BYTES, message.size)) advance(1)
}

/** Sends to one what is on its way to it, and returns how many messages that were. */
export function catchUp (subscriber: Subscriber): number {
  if (inProgress.length === 0) return 0
  let count = 0
  for (;;) {
    const isOne = inProgress.length === 1
    const further = nextFor(subscriber)?.sendNext(subscriber) ?? -1
    if (further >= 0) count++
    if (further < 0 || (further === 0 && isOne)) return count
  }
}

// Of the topic whose next message for a subscriber is the oldest.
function nextFor (subscriber: Subscriber): Deliveries | null | undefined {
  if (inProgress.length <= 1) return inProgress[0]?.deliveries
  let oldest: Deliveries | undefined
  let order = Infinity
  for (const { deliveries } of inProgress.length <= FEW_TOPICS ? inProgress : topicsOf(subscriber)) {
    const own = deliveries === null ? Infinity : deliveries.orderFor(subscriber)
    if (own >= order) continue
    order = own
    oldest = deliveries as Deliveries
  }
  return oldest
}

// Sends to the next ones. Returns whether there are more.
function advance (budget: number): boolean {
  let left = budget
  try {
    while (left > 0) {
      const deliveries = inProgress[0]?.deliveries
      if (deliveries == null) return false
      const next = deliveries.nextSubscriber()
      const count = next === undefined ? 0 : catchUp(next)
      left -= count === 0 ? COST_OF_NONE : 1 + (count - 1) * COST_OF_FURTHER
    }
    return true
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
  const isWhole = advance(pace.size)
  endTurn()
  if (isWhole) pace.note(now() - since)
}

// Before what waits for the end of the turn is let out.
process.prependListener('exit', () => { advance(Infinity) })
