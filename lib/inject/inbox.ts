// What a client has received, in order: for each message one taker, and for each taker one message.

export type Message = string | Buffer
/** Is given `undefined` when no message will come any more. */
export type Taker = (message: Message | undefined) => void

// So many are quoted in an error.
const MOST_REMEMBERED = 5

export class Inbox {
  readonly #messages: Message[] = []
  #takers: Taker[] = []
  #latest: Message[] = []
  #count = 0
  #isClosed = false

  /** How many messages have come, taken or not. */
  get count (): number {
    return this.#count
  }

  /** The last few of them. */
  get latest (): readonly Message[] {
    return this.#latest
  }

  add (message: Message): void {
    this.#count++
    this.#latest = [...this.#latest, message].slice(-MOST_REMEMBERED)
    const taker = this.#takers.shift()
    if (taker === undefined) this.#messages.push(message)
    else taker(message)
  }

  close (): void {
    this.#isClosed = true
    const takers = this.#takers
    this.#takers = []
    for (const taker of takers) taker(undefined)
  }

  /** Calls back with the next message, at once if it has come. */
  take (taker: Taker): void {
    const message = this.#messages.shift()
    if (message !== undefined || this.#isClosed) taker(message)
    else this.#takers.push(taker)
  }

  /** It is not called back any more. */
  leave (taker: Taker): void {
    this.#takers = this.#takers.filter((other) => other !== taker)
  }
}
