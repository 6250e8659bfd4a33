// What it costs to subscribe, measured where it is done: over the wire it would be lost in what a message costs.
import { median } from './median.ts'
import { settle } from './settling.ts'
import type { Member } from './workload.ts'

/** Of one subscription to a topic that nobody has subscribed to, and to one that very many have. */
export interface SubscriptionCosts {
  /** Nanoseconds. */
  readonly time: { readonly first: number, readonly later: number }
  /** Bytes of the heap. */
  readonly heap: { readonly first: number, readonly later: number }
}

const ROUNDS = 20
const WARM_UP = 5
// Of the members of a topic the last ones are measured: a hundredth part of a millisecond is too short for one.
const LAST = 100

export async function subscriptionCosts (members: readonly Member[]): Promise<SubscriptionCosts> {
  const first: number[] = []
  const later: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    first.push(timePer(members, (member, i) => member.subscribe(`topic ${i}`)))
    for (const [i, member] of members.entries()) member.unsubscribe(`topic ${i}`)
    for (const member of members.slice(0, -LAST)) member.subscribe('all')
    later.push(timePer(members.slice(-LAST), (member) => member.subscribe('all')))
    for (const member of members) member.unsubscribe('all')
    // Others have their turn: what is freed later is not of this round.
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  return {
    time: { first: median(first.slice(WARM_UP)), later: median(later.slice(WARM_UP)) },
    heap: {
      first: await heapPer(members, (member, i) => member.subscribe(`topic ${i}`)),
      later: await heapPer(members, (member) => member.subscribe('all'))
    }
  }
}

function timePer (members: readonly Member[], action: (member: Member, i: number) => void): number {
  const start = process.hrtime.bigint()
  for (const [i, member] of members.entries()) action(member, i)
  return Number(process.hrtime.bigint() - start) / members.length
}

async function heapPer (members: readonly Member[], action: (member: Member, i: number) => void): Promise<number> {
  await settle()
  const before = process.memoryUsage().heapUsed
  for (const [i, member] of members.entries()) action(member, i)
  await settle()
  return (process.memoryUsage().heapUsed - before) / members.length
}
