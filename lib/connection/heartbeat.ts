// One timer for all connections of a server. Each interval has a lane, in which the connections stand in the order in
// which they are due: a sweep touches those only, and a server without connections has no timer.
import { NumberMap } from '../number-map.ts'
import { clearTimeout, now, setTimeout } from '../timers.ts'

/** Something with a pulse. */
export interface Peer {
  /** For the heartbeat: its number in the lane, and when it is due. */
  lanePlace: number
  dueAt: number
  /** Called once in each interval. */
  beat (interval: number): void
}

// In whichever lane: who has left has a place that nobody else gets.
let lastPlace = 0

class Lane {
  readonly peers = new NumberMap<Peer>()

  push (peer: Peer, dueAt: number): void {
    peer.lanePlace = ++lastPlace
    peer.dueAt = dueAt
    this.peers.set(peer.lanePlace, peer)
  }
}

// A sweep that finds more than this goes on in another turn of the event loop.
const BATCH = 500
// Sweeps are no closer together than this part of an interval, so that connections share them.
const PRECISION = 0.05

export class Heartbeat {
  readonly #lanes = new Map<number, Lane>()
  #timer: NodeJS.Timeout | null = null
  #timerDue = Infinity

  add (peer: Peer, interval: number): void {
    const due = dueIn(interval)
    let lane = this.#lanes.get(interval)
    if (lane === undefined) this.#lanes.set(interval, lane = new Lane())
    lane.push(peer, due)
    if (due < this.#timerDue) this.#sweepIn(interval)
  }

  delete (peer: Peer, interval: number): void {
    const lane = this.#lanes.get(interval)
    lane?.peers.delete(peer.lanePlace)
    if (lane?.peers.size === 0) this.#lanes.delete(interval)
    if (this.#lanes.size === 0) this.#stop()
  }

  readonly #sweep = (): void => {
    const time = now()
    let next = Infinity
    let count = 0
    for (const [interval, lane] of this.#lanes) {
      for (const peer of lane.peers) {
        if (peer.dueAt > time || count === BATCH) {
          next = Math.min(next, Math.max(peer.dueAt - time, count === BATCH ? 1 : interval * PRECISION))
          break
        }
        count++
        lane.peers.delete(peer.lanePlace)
        lane.push(peer, dueIn(interval))
        peer.beat(interval)
      }
    }
    this.#sweepIn(next)
  }

  #sweepIn (delay: number): void {
    this.#stop()
    if (delay === Infinity) return
    this.#timerDue = now() + delay
    // A heartbeat is no reason for the process to live.
    this.#timer = setTimeout(this.#sweep, delay).unref()
  }

  #stop (): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#timerDue = Infinity
  }
}

// Whole milliseconds: other numbers are objects of their own, one for each connection (bench/memory.ts).
function dueIn (interval: number): number {
  return Math.ceil(now() + interval)
}
