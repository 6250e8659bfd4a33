/** Things that are alive, by key, with a promise for the moment when none is. */
export class Registry<Key, Item> {
  readonly #items = new Map<Key, Item>()
  #resolvers: Array<() => void> = []

  get size (): number {
    return this.#items.size
  }

  [Symbol.iterator] (): IterableIterator<Item> {
    return this.#items.values()
  }

  get (key: Key): Item | undefined {
    return this.#items.get(key)
  }

  add (key: Key, item: Item): void {
    this.#items.set(key, item)
  }

  delete (key: Key): void {
    this.#items.delete(key)
    if (this.#items.size > 0) return
    const resolvers = this.#resolvers
    this.#resolvers = []
    for (const resolve of resolvers) resolve()
  }

  async whenEmpty (): Promise<void> {
    if (this.#items.size > 0) await new Promise<void>((resolve) => { this.#resolvers.push(resolve) })
  }
}
