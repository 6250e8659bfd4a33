/** Things that are alive, with a promise for the moment when none is. */
export class Registry<Item> {
  readonly #items = new Set<Item>()
  #resolvers: Array<() => void> = []

  get size (): number {
    return this.#items.size
  }

  [Symbol.iterator] (): IterableIterator<Item> {
    return this.#items.values()
  }

  add (item: Item): void {
    this.#items.add(item)
  }

  delete (item: Item): void {
    this.#items.delete(item)
    if (this.#items.size > 0) return
    const resolvers = this.#resolvers
    this.#resolvers = []
    for (const resolve of resolvers) resolve()
  }

  async whenEmpty (): Promise<void> {
    if (this.#items.size > 0) await new Promise<void>((resolve) => { this.#resolvers.push(resolve) })
  }
}
