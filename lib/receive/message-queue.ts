// The messages of one connection, in order, between the frames and who takes them:
//
//                    ┌─ Pull: an iteration runs ─────────→ next()
//   frames → push() ─┼─ Push: onConnection has settled ──→ onMessage, one at a time
//                    └─ Hold: neither of them yet ───────→ nobody; whoever comes next finds them here
import type { RawData } from 'ws'
import { sizeOf } from '../messages/payload.ts'
import { isThenable } from '../thenable.ts'
import { DONE, Iteration, type IterationResult, type MessageSource } from './iteration.ts'

/** What a queue needs of its connection. */
export interface MessageQueueOwner {
  /** Whether `onMessage` gets messages, now or when `onConnection` has settled. */
  readonly hasOnMessage: boolean
  readonly hasStarted: boolean
  /** No message is to be handled now: too much waits to be sent to the peer, it is paused, or it has had its turn. */
  readonly isHeld: boolean
  /** Makes of a message what handlers see. What it throws goes to `fail`. */
  decode (data: RawData, isBinary: boolean): unknown
  callOnMessage (message: unknown): unknown
  fail (error: unknown): void
  /** With what an iteration ends; `null` for a normal end. */
  iterationError (): Error | null
  /** What waits may have become less. */
  handleRoom (): void
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

// What a message costs beside its payload: the Buffer, its entry here, and what ws has made of the frame.
const MESSAGE_OVERHEAD = 128

const Mode = { Hold: 'hold', Pull: 'pull', Push: 'push' } as const
type QueueMode = typeof Mode[keyof typeof Mode]

export class MessageQueue implements MessageSource {
  readonly #owner: MessageQueueOwner
  #messages: Array<HeldMessage | undefined> = []
  #head = 0
  #size = 0
  #hasEnded: boolean
  #isBusy = false // a promise of onMessage is pending
  #isDelivering = false
  #iterations = 0
  #waiters: Waiter[] = []

  /** `hasEnded`: nothing will come any more. */
  constructor (owner: MessageQueueOwner, hasEnded: boolean) {
    this.#owner = owner
    this.#hasEnded = hasEnded
  }

  /** Bytes of what waits, with what it costs to keep it. */
  get size (): number {
    return this.#size
  }

  get length (): number {
    return this.#messages.length - this.#head
  }

  /** Whether somebody here takes the messages, now or later. */
  get isWanted (): boolean {
    return this.#owner.hasOnMessage || this.#iterations > 0
  }

  /** Whether messages wait that nobody here takes. */
  get isHolding (): boolean {
    return this.length > 0 && !this.isWanted
  }

  /** Whether `onMessage` has seen all that is for it, and has settled. */
  get isIdle (): boolean {
    return !this.#isBusy && (this.length === 0 || this.#mode !== Mode.Push)
  }

  push (data: RawData, isBinary: boolean, wasSeen: boolean): void {
    if (this.length === 0 && !this.#isDelivering && this.#isReady) {
      this.#isDelivering = true
      this.#deliver(data, isBinary)
      this.#isDelivering = false
      if (this.length > 0) this.deliver()
      return
    }
    this.#messages.push({ data, isBinary, wasSeen })
    this.#size += sizeOf(data) + MESSAGE_OVERHEAD
    this.deliver()
  }

  /** Hands out what can be handed out now. */
  deliver (): void {
    if (this.#isDelivering) return
    this.#isDelivering = true
    while (this.length > 0 && this.#isReady) {
      const { data, isBinary } = this.#shift()
      this.#deliver(data, isBinary)
    }
    this.#isDelivering = false
    if (this.#hasEnded && this.length === 0) this.#endIterations()
    this.#owner.handleRoom()
  }

  /** The next of those that wait for nobody here. */
  takeHeld (): HeldMessage | undefined {
    return this.isHolding ? this.#shift() : undefined
  }

  /** Forgets what waits, and returns how many that were. */
  clear (): number {
    const { length } = this
    this.#messages = []
    this.#head = 0
    this.#size = 0
    return length
  }

  /** Nothing comes any more; what waits is handed out all the same. */
  end (): void {
    this.#hasEnded = true
    this.deliver()
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

  get #mode (): QueueMode {
    if (this.#iterations > 0) return Mode.Pull
    return this.#owner.hasOnMessage && this.#owner.hasStarted ? Mode.Push : Mode.Hold
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
    const message = this.#messages[this.#head] as HeldMessage
    this.#messages[this.#head++] = undefined
    this.#size -= sizeOf(message.data) + MESSAGE_OVERHEAD
    if (this.length === 0) this.clear()
    return message
  }

  #deliver (data: RawData, isBinary: boolean): void {
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
}
