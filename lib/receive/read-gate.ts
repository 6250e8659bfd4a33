// A connection is read, except for one of three reasons, each of which goes when its time has come:
//
//   Queue        while more than `highWaterMark` waits for who takes it
//   Congestion   while more than `highWaterMark` waits to be sent to the peer
//   Turn         until the others have had theirs, after very many messages at once
//
// conn.pause() comes beside these, and is ws's. Once this side has sent its close frame only the first one holds: the peer's
// answer has to be read.
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'

export const PauseReason = { Queue: 1, Congestion: 2, Turn: 4 } as const
type Reason = typeof PauseReason[keyof typeof PauseReason]

// Beside the reasons in their number: this side has closed the connection.
const CLOSING = 8

// The connection overrides it.
const { resume } = WebSocket.prototype

/** What comes in is behind one, and is one: an object less for each idle connection (bench/memory.ts). */
export abstract class ReadGate {
  abstract readonly connection: WebSocket
  /** What ws reads. */
  protected abstract readonly stream: Duplex
  #reasons = 0

  /** Whether nothing is read at present. */
  get isShut (): boolean {
    return this.#reasons % CLOSING !== 0 || this.connection.isPaused
  }

  shut (reason: Reason): void {
    if (this.#reasons >= CLOSING && reason !== PauseReason.Queue) return
    if (this.#reasons % CLOSING === 0) {
      this.stream.pause()
      this.stream.on('resume', streamOnResume)
    }
    this.#reasons |= reason
  }

  open (reason: Reason): void {
    if ((this.#reasons & reason) === 0) return
    this.#reasons &= ~reason
    if (this.#reasons % CLOSING !== 0) return
    this.stream.off('resume', streamOnResume)
    if (!this.connection.isPaused) resume.call(this.connection)
  }

  /** This side has sent its close frame. */
  openForClose (): void {
    if ((this.#reasons & PauseReason.Queue) !== 0) {
      this.#reasons = PauseReason.Queue | CLOSING
      return
    }
    this.#reasons = CLOSING
    this.stream.off('resume', streamOnResume)
    resume.call(this.connection)
  }
}

// ws resumes the stream for reasons of its own, and users do by conn.resume().
function streamOnResume (this: Duplex): void {
  this.pause()
}
