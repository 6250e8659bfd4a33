import type { EmitterStats } from '../../types/emitter.ts'
import type { WebSocketStats } from '../../types/websockets.ts'
import type { Traffic } from '../traffic.ts'

/** What has happened on a server since it was made: plain counters. */
export class Stats {
  readonly received: Traffic = { messages: 0, bytes: 0 }
  readonly sent: Traffic = { messages: 0, bytes: 0 }
  /** Messages that nobody took. */
  discarded = 0
  readonly #refused = new Map<number, number>()
  readonly #closed = new Map<number, number>()
  #pending = 0
  #accepted = 0
  #aborted = 0

  countHandshake (): void {
    this.#pending++
  }

  /** Counts the answer to a handshake: 101, the status of a refusal, or 0 if the client had left. */
  countAnswer (statusCode: number): void {
    this.#pending--
    if (statusCode === 101) this.#accepted++
    else if (statusCode === 0) this.#aborted++
    else this.#refused.set(statusCode, (this.#refused.get(statusCode) ?? 0) + 1)
  }

  countClose (code: number): void {
    this.#closed.set(code, (this.#closed.get(code) ?? 0) + 1)
  }

  snapshot (open: number, topics: number, emitter: EmitterStats | null): WebSocketStats {
    return {
      open,
      topics,
      pending: this.#pending,
      accepted: this.#accepted,
      refused: Object.fromEntries(this.#refused),
      aborted: this.#aborted,
      closed: Object.fromEntries(this.#closed),
      received: { ...this.received },
      sent: { ...this.sent },
      discarded: this.discarded,
      emitter
    }
  }
}
