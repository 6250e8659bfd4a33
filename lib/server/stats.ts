import type { RouteStats } from '../../types/websockets.ts'
import type { Traffic } from '../traffic.ts'

type Counts = Record<number, number>

/** What has happened on one route since it was made, or to handshakes that met none: plain counters. */
export class Stats {
  open = 0
  /** Messages that nobody took. */
  discarded = 0
  readonly received: Traffic = { messages: 0, bytes: 0 }
  readonly sent: Traffic = { messages: 0, bytes: 0 }
  readonly #refused: Counts = {}
  readonly #closed: Counts = {}
  #pending = 0
  #accepted = 0
  #aborted = 0

  countHandshake (): void {
    this.#pending++
  }

  /** A handshake that was counted here has met its route. */
  handOver (route: Stats): void {
    this.#pending--
    route.#pending++
  }

  /** Counts the answer to a handshake: 101, the status of a refusal, or 0 if the client had left. */
  countAnswer (statusCode: number): void {
    this.#pending--
    if (statusCode === 101) this.#accepted++
    else if (statusCode === 0) this.#aborted++
    else count(this.#refused, statusCode)
  }

  countClose (code: number): void {
    this.open--
    count(this.#closed, code)
  }

  add (other: Stats): this {
    this.open += other.open
    this.discarded += other.discarded
    this.#pending += other.#pending
    this.#accepted += other.#accepted
    this.#aborted += other.#aborted
    for (const name of ['received', 'sent'] as const) {
      this[name].messages += other[name].messages
      this[name].bytes += other[name].bytes
    }
    for (const [code, number] of Object.entries(other.#refused)) count(this.#refused, Number(code), number)
    for (const [code, number] of Object.entries(other.#closed)) count(this.#closed, Number(code), number)
    return this
  }

  snapshot (): RouteStats {
    return {
      open: this.open,
      pending: this.#pending,
      accepted: this.#accepted,
      refused: { ...this.#refused },
      aborted: this.#aborted,
      closed: { ...this.#closed },
      received: { ...this.received },
      sent: { ...this.sent },
      discarded: this.discarded
    }
  }
}

function count (counts: Counts, code: number, number = 1): void {
  counts[code] = (counts[code] ?? 0) + number
}
