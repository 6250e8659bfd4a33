// Finds out whether an emitter works. None says so by itself, but a message to oneself comes back only if both ways are open.
import type { Emitter } from '../../types/emitter.ts'
import { clearImmediate, clearTimeout, setImmediate, setTimeout } from '../timers.ts'
import type { EmitterLink } from './emitter-link.ts'

type Listener = (message: unknown, done: () => void) => void

const INTERVAL = 5_000
const INTERVAL_WHILE_DOWN = 1_000
const MAX_SKIPPED = 5

export class EmitterProbe {
  readonly #emitter: Emitter
  readonly #name: string
  readonly #link: EmitterLink
  #timer: NodeJS.Timeout | undefined = undefined
  #immediate: NodeJS.Immediate | undefined = undefined
  #isSending = false
  #skipped = 0
  #hasEchoed = true
  #hasWorked = false // since it was subscribed
  #listener: Listener | null = null

  constructor (emitter: Emitter, name: string, link: EmitterLink) {
    this.#emitter = emitter
    this.#name = name
    this.#link = link
  }

  start (): void {
    this.#wait()
    this.#subscribe()
  }

  stop (): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
    this.#emitter.removeListener(this.#name, this.#listener as Listener)
  }

  /** Sends a probe now instead of when the timer ends. */
  hasten (): void {
    this.#send()
    this.#wait()
  }

  // An echo may have come while this process was busy: after an immediate it has been read.
  readonly #handleTimer = (): void => { this.#immediate = setImmediate(this.#judge) }

  readonly #judge = (): void => {
    if (!this.#hasEchoed) {
      this.#link.handleFailure(new Error('The emitter does not answer'))
      if (!this.#hasWorked && !this.#isSending) this.#renew()
    }
    this.#send()
    this.#wait()
  }

  #subscribe (): void {
    const listener: Listener = (_message, done) => {
      done()
      this.#hasEchoed = true
      this.#hasWorked = true
      this.#link.handleEcho()
    }
    this.#listener = listener
    this.#emitter.on(this.#name, listener, () => this.#send())
  }

  // A subscription that was made while the emitter was cut off may have been given up.
  #renew (): void {
    try {
      this.#emitter.removeListener(this.#name, this.#listener as Listener)
      this.#subscribe()
    } catch (error) {
      this.#link.handleFailure(error as Error)
    }
  }

  #wait (): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#handleTimer, this.#link.isDown ? INTERVAL_WHILE_DOWN : INTERVAL).unref()
  }

  // While the last probe has not been confirmed, only each fifth is sent: an emitter that is cut off may queue all of them. One
  // that has lost the last probe never confirms it.
  #send (): void {
    this.#hasEchoed = false
    if (this.#isSending && ++this.#skipped < MAX_SKIPPED) return
    this.#skipped = 0
    this.#isSending = true
    try {
      this.#emitter.emit({ topic: this.#name }, (error) => {
        this.#isSending = false
        if (error != null) this.#link.handleFailure(error)
      })
    } catch (error) {
      this.#isSending = false
      this.#link.handleFailure(error as Error)
    }
  }
}
