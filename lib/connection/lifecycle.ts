// The callbacks of a connection, one after the other: onConnection, onMessage for each message, onClose.
//
//   Open ─→ Gone: the socket is ─→ Ending: the listeners for 'close' have been told ─→ Over: `onClose` was called
import type { Incoming } from '../receive/incoming.ts'
import { isThenable } from '../thenable.ts'
import { clearTimeout, setTimeout } from '../timers.ts'
import { Closing, iterationError } from './closing.ts'
import { ContainedCalls } from './contained-calls.ts'

const Phase = { Open: 'open', Gone: 'gone', Ending: 'ending', Over: 'over' } as const
type SessionPhase = typeof Phase[keyof typeof Phase]

export abstract class Lifecycle extends ContainedCalls {
  abstract readonly incoming: Incoming
  #closing: Closing | null = null // from when it closes, or is asked for its signal
  #phase: SessionPhase = Phase.Open

  /** Whether the socket is gone. */
  get hasGone (): boolean {
    return this.#phase !== Phase.Open
  }

  /** How the connection ends. */
  get closing (): Closing {
    this.#closing ??= new Closing()
    return this.#closing
  }

  iterationError (): Error | null {
    return iterationError(this.closing)
  }

  /** Runs `onConnection`, unless this side has closed the connection before, and lets the messages come when it has settled. */
  start (): void {
    // A handshake that settled late may come after the end.
    if (this.#isClosedHere || this.#phase === Phase.Over) return this.#handleStarted()
    try {
      const result = this.route.callbacks.callOnConnection(this)
      if (!isThenable(result)) return this.#handleStarted()
      Promise.resolve(result).then(() => this.#handleStarted(), (error: unknown) => {
        this.fail(error)
        this.#handleStarted()
      })
    } catch (error) {
      this.fail(error)
      this.#handleStarted()
    }
  }

  protected noteGone (): void {
    this.#phase = Phase.Gone
  }

  /** Calls `onClose` when `onConnection` and `onMessage` have settled, and at the latest `closeTimeout` after the close began. */
  finish (): void {
    this.#phase = Phase.Ending
    this.incoming.end()
    if (this.#phase !== Phase.Ending) return
    this.route.handleEnding(this.connection)
    const { closing } = this
    closing.lastCall = setTimeout(() => this.#conclude(), closing.timeLeft(this.route.options.closeTimeout)).unref()
  }

  handleIdle (): void {
    if (this.incoming.hasStarted && this.incoming.isIdle) this.#conclude()
  }

  get #isClosedHere (): boolean {
    return this.#closing?.result.initiator === 'server'
  }

  #handleStarted (): void {
    this.incoming.start()
    this.handleIdle()
  }

  #conclude (): void {
    if (this.#phase !== Phase.Ending) return
    this.#phase = Phase.Over
    const { closing, connection, route } = this
    clearTimeout(closing.lastCall)
    this.incoming.retire()
    const ending = route.callbacks.callOnClose(this, closing.result)
    if (ending === undefined) {
      route.handleEnd(connection)
      return
    }
    route.handleEnding(connection)
    void ending.then(() => route.handleEnd(connection))
  }
}
