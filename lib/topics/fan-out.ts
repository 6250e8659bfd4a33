// One message to all subscribers of a topic. To very many it goes in slices, and between two of them the event loop serves
// everybody else:
//
//   publish() ─→ some ─→ │ other clients │ ─→ some ─→ │ other clients │ ─→ …
//
// To each subscriber it looks as if it had been sent at once: before anything else is sent to a connection, and before its
// subscription or the connection ends, catchUp() sends what still waits for it.
import { endTurn } from '../send/end-of-turn.ts'
import { now, setImmediate } from '../timers.ts'
import { backlog, Deliveries, inProgress, type MessageForAll } from './deliveries.ts'
import { SliceSize } from './slice-size.ts'
import { type Subscriber, type Topic, topicsOf } from './topics.ts'

// A topic with no more subscribers is sent to at once.
const FEW = 50
// The system call is most of the cost of a message: further messages to the same subscriber cost less, and a subscriber for
// whom nothing waits next to nothing.
const COST_OF_FURTHER = 1 / 4
const COST_OF_NONE = 1 / 16
// With more topics in progress it is quicker to look through those of the subscriber.
const FEW_TOPICS = 4
// When more than this waits, publish() itself sends the oldest of it before it returns: nobody can publish faster than this
// process sends. The first is a second or two of work. The second is the default of maxBufferedAmount: so much at once does not
// make a subscriber a slow consumer.
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
  // A message alone may be over the limits, by its size or by its subscribers: it waits like any other.
  while (backlog.deliveries > Math.max(MAX_DELIVERIES, size) || backlog.bytes > Math.max(MAX_BYTES, message.size)) advance(1)
}

/** Sends a subscriber all that waits for it, and returns how many messages that were. */
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

// The deliveries of the topic whose next message for this subscriber is the oldest.
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

// Sends to the next subscribers, until the budget is used up. Returns false if all have been sent everything before that.
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
    // Last, so that it runs after the flush at the end of the turn, if one is due.
    if (inProgress.length > 0 && !isScheduled) {
      isScheduled = true
      setImmediate(goOn)
    }
  }
}

// What was sent in the meantime has been flushed by now; this slice is flushed at once, not at the end of the turn.
function goOn (): void {
  isScheduled = false
  const since = now()
  const isWhole = advance(pace.size)
  endTurn()
  if (isWhole) pace.note(now() - since)
}

// Ahead of the listener of end-of-turn.ts, which flushes what this sends.
process.prependListener('exit', () => { advance(Infinity) })
