// A connection is not read for one of five reasons, each of which goes when its time has come:
//
//   Start        until onConnection has settled, somebody listens for 'message', or somebody iterates
//   User         from conn.pause() to conn.resume()
//   MessageQueue        while nobody could take a message
//   Congestion   while more than `highWaterMark` waits to be sent to the peer
//   Turn         until the others have had theirs, after very many messages at once
//
// Once this side has sent its close frame nothing holds: the peer's answer has to be read.
import { WebSocket } from 'ws'

export const PauseReason = { Start: 1, User: 2, MessageQueue: 4, Congestion: 8, Turn: 16 } as const
type Reason = typeof PauseReason[keyof typeof PauseReason]

// Beside the reasons in their number: the gate is not to be shut any more.
const FOR_GOOD = 32

// The connection overrides pause() and resume(); these are what they override.
const { pause, resume } = WebSocket.prototype

/** What comes in is behind one, and is one: an object less for each idle connection (bench/memory.ts). */
export abstract class ReadGate {
  abstract readonly connection: WebSocket
  #reasons: number

  constructor (connection: WebSocket, reasons: number) {
    this.#reasons = reasons
    pause.call(connection)
  }

  get isShut (): boolean {
    return this.#reasons !== 0 && this.#reasons !== FOR_GOOD
  }

  shut (reason: Reason): void {
    if (this.#reasons === FOR_GOOD) return
    if (this.#reasons === 0) pause.call(this.connection)
    this.#reasons |= reason
  }

  open (reason: Reason): void {
    if ((this.#reasons & reason) === 0) return
    this.#reasons &= ~reason
    if (this.#reasons === 0) resume.call(this.connection)
  }

  openForGood (): void {
    this.#reasons = FOR_GOOD
    resume.call(this.connection)
  }
}
