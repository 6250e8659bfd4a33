// The messages of one connection, in order, between the frames and who takes them:
//
//                    ┌─ Pull: an iteration runs ─────────→ next()
//   frames → push() ─┼─ Push: onConnection has settled ──→ onMessage, one at a time
//                    └─ Hold: neither of them yet ───────→ nobody; whoever comes next finds them here
//
// The connection is read while somebody could take a message at once, and in Hold while not too much waits.
import type { RawData } from 'ws'
import { sizeOf } from '../messages/message-size.ts'
import { isThenable } from '../thenable.ts'
import { DONE, Iteration, type IterationResult, type MessageSource } from './iteration.ts'
import { checkReadingSoon } from './reading-check.ts'

/** What an queue needs of its connection. */
export interface MessageQueueOwner {
  readonly hasOnMessage: boolean
  /** How many bytes may wait while nobody takes them. */
  readonly highWaterMark: number
  /** No message is to be handled now: too much waits to be sent to the peer, or it has had its turn. */
  readonly isHeld: boolean
  /** Makes of a message what handlers see. What it throws goes to `fail`. */
  decode (data: RawData, isBinary: boolean): unknown
  callOnMessage (message: unknown): unknown
  fail (error: unknown): void
  /** Says whether the connection is to be read. */
  setReading (isReading: boolean): void
  /** With what an iteration ends; `null` for a normal end. */
  iterationError (): Error | null
  /** The connection has closed, and `onMessage` has seen all that was for it. */
  handleIdle (): void
  /** The last iteration has left messages that nobody here takes. */
  handleHeld (): void
}

/** A message as it came. */
export interface HeldMessage {
  readonly data: RawData
  readonly isBinary: boolean
  /** A listener has had it. */
  readonly wasSeen: boolean
}

interface Waiter {
  readonly iteration: Iteration
  readonly resolve: (result: IterationResult) => void
  readonly reject: (error: Error) => void
}

const Mode = { Hold: 'hold', Pull: 'pull', Push: 'push' } as const
type MessageQueueMode = typeof Mode[keyof typeof Mode]

export class MessageQueue implements MessageSource {
  readonly #owner: MessageQueueOwner
  #hasOnMessage: boolean
  #queue: Array<HeldMessage | undefined> = []
  #head = 0
  #size = 0
  #isStarted: boolean
  #hasEnded = false
  #isBusy = false // a promise of onMessage is pending
  #isDelivering = false
  #isCheckDue = false
  #iterations = 0
  #waiters: Waiter[] = []

  constructor (owner: MessageQueueOwner, isStarted: boolean) {
    this.#owner = owner
    this.#hasOnMessage = owner.hasOnMessage
    this.#isStarted = isStarted
  }

  /** Whether somebody here takes the messages, now or later. */
  get isWanted (): boolean {
    return this.#hasOnMessage || this.#iterations > 0
  }

  /** Whether messages wait that nobody here takes. */
  get isHolding (): boolean {
    return !this.isWanted && !this.#isEmpty
  }

  /** Whether `onMessage` has seen all that is for it, and has settled. */
  get isIdle (): boolean {
    return !this.#isBusy && (this.#isEmpty || this.#mode !== Mode.Push)
  }

  push (data: RawData, isBinary: boolean, wasSeen: boolean): void {
    this.#queue.push({ data, isBinary, wasSeen })
    this.#size += sizeOf(data)
    this.deliver()
  }

  /** From now on `onMessage` gets the messages, unless an iteration takes them. */
  start (): void {
    this.#isStarted = true
    this.deliver()
  }

  /** Hands out what can be handed out now. */
  deliver (): void {
    if (this.#isDelivering) return
    this.#isDelivering = true
    try {
      while (!this.#isEmpty && this.#isReady) this.#deliverNext(this.#shift())
    } finally {
      this.#isDelivering = false
    }
    if (this.#hasEnded && this.#isEmpty) this.#endIterations()
    this.#updateReading()
    if (this.#hasEnded && this.isIdle) this.#owner.handleIdle()
  }

  /** The next of those that wait for nobody here. */
  takeHeld (): HeldMessage | undefined {
    if (!this.isHolding) return undefined
    const message = this.#shift()
    this.#updateReading()
    return message
  }

  /** Forgets what waits. */
  clear (): void {
    this.#queue = []
    this.#head = 0
    this.#size = 0
  }

  /** Nothing comes any more; what waits is handed out all the same. */
  end (): void {
    this.#hasEnded = true
    this.deliver()
  }

  /** From now on `onMessage` gets none; an iteration that still runs has the rest. */
  retire (): void {
    this.#hasOnMessage = false
    if (this.#iterations === 0) this.clear()
  }

  iterate (): AsyncIterableIterator<unknown, undefined> {
    this.#iterations++
    return new Iteration(this)
  }

  /** The next message for an iteration. @internal */
  take (iteration: Iteration): Promise<IterationResult> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ iteration, resolve, reject })
      this.deliver()
    })
  }

  /** An iteration is over. @internal */
  leave (iteration: Iteration): void {
    this.#iterations--
    const own = this.#waiters.filter((waiter) => waiter.iteration === iteration)
    this.#waiters = this.#waiters.filter((waiter) => waiter.iteration !== iteration)
    for (const { resolve } of own) resolve(DONE)
    this.deliver()
    if (this.isHolding) this.#owner.handleHeld()
  }

  /** Stops reading if there is still nobody who could take a message. */
  checkReading (): void {
    this.#isCheckDue = false
    if (this.#mode !== Mode.Hold && !this.#isReady) this.#owner.setReading(false)
  }

  get #isEmpty (): boolean {
    return this.#head === this.#queue.length
  }

  get #mode (): MessageQueueMode {
    if (this.#iterations > 0) return Mode.Pull
    return this.#isStarted && this.#hasOnMessage ? Mode.Push : Mode.Hold
  }

  // Somebody could take a message at once.
  get #isReady (): boolean {
    if (this.#owner.isHeld) return false
    switch (this.#mode) {
      case Mode.Pull: return this.#waiters.length > 0
      case Mode.Push: return !this.#isBusy
      case Mode.Hold: return false
    }
  }

  #shift (): HeldMessage {
    const message = this.#queue[this.#head] as HeldMessage
    this.#queue[this.#head++] = undefined
    this.#size -= sizeOf(message.data)
    if (this.#isEmpty) this.clear()
    return message
  }

  #deliverNext ({ data, isBinary }: HeldMessage): void {
    const owner = this.#owner
    try {
      const value = owner.decode(data, isBinary)
      if (this.#mode === Mode.Pull) this.#waiters.shift()?.resolve({ done: false, value })
      else this.#waitFor(owner.callOnMessage(value))
    } catch (error) {
      owner.fail(error)
    }
  }

  #waitFor (result: unknown): void {
    if (!isThenable(result)) return
    this.#isBusy = true
    Promise.resolve(result).then(this.#handleSettled, this.#handleRejected)
  }

  readonly #handleSettled = (): void => {
    this.#isBusy = false
    this.deliver()
  }

  readonly #handleRejected = (error: unknown): void => {
    this.#owner.fail(error)
    this.#handleSettled()
  }

  #endIterations (): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const { iteration, resolve, reject } of waiters) {
      const error = this.#owner.iterationError()
      iteration.stop()
      if (error === null) resolve(DONE)
      else reject(error)
    }
  }

  #updateReading (): void {
    if (this.#mode === Mode.Hold) this.#owner.setReading(this.#size <= this.#owner.highWaterMark)
    else if (!this.#isEmpty) this.#owner.setReading(false)
    else if (this.#isReady) this.#owner.setReading(true)
    else if (!this.#isCheckDue) {
      this.#isCheckDue = true
      checkReadingSoon(this)
    }
  }
}
