import { NumberMap } from '../number-map.ts'

/** What is in use, by number, with a promise that resolves when nothing is. */
export class Registry<Item> extends NumberMap<Item> {
  #resolvers: Array<() => void> = []

  override delete (key: number): void {
    super.delete(key)
    if (this.size > 0 || this.#resolvers.length === 0) return
    const resolvers = this.#resolvers
    this.#resolvers = []
    for (const resolve of resolvers) resolve()
  }

  async whenEmpty (): Promise<void> {
    if (this.size > 0) await new Promise<void>((resolve) => { this.#resolvers.push(resolve) })
  }
}
