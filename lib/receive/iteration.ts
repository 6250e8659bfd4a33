/** Where an iteration takes its messages from. */
export interface MessageSource {
  take (iteration: Iteration): Promise<IterationResult>
  leave (iteration: Iteration): void
}

export type IterationResult = IteratorResult<unknown, undefined>

export const DONE: IterationResult = { done: true, value: undefined }

/** One `for await` over a connection. */
export class Iteration implements AsyncIterableIterator<unknown, undefined> {
  readonly #source: MessageSource
  #isOver = false

  constructor (source: MessageSource) {
    this.#source = source
  }

  next (): Promise<IterationResult> {
    return this.#isOver ? Promise.resolve(DONE) : this.#source.take(this)
  }

  return (): Promise<IterationResult> {
    this.stop()
    return Promise.resolve(DONE)
  }

  stop (): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#source.leave(this)
  }

  [Symbol.asyncIterator] (): this {
    return this
  }
}
