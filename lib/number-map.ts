// A map for what comes and goes all the time, by numbers that go up.
//
// A `Map` makes a new table of itself each time that so many of its entries have been deleted, and the old one keeps a
// reference to the new. In the old space of V8 all that is reachable from a table that is garbage counts as alive until the
// next collection of that space, and that is each later table with all that was in it: whatever has been in a Map is moved
// to the old space. Without that the young generation is collected in less than half of the time (bench/handshakes.ts).
//
// Here the numbers are on pages of 16, and it is pages that a Map has. A number that has gone is no longer on its page.

const PAGE_SIZE = 16

class Page<Item> {
  readonly items: Array<Item | undefined> = Array(PAGE_SIZE).fill(undefined)
  count = 0
}

export class NumberMap<Item> {
  readonly #pages = new Map<number, Page<Item>>()
  #size = 0

  get size (): number {
    return this.#size
  }

  /** In the order of their pages, and on these of their numbers. What is deleted meanwhile does not come, what is added may. */
  * [Symbol.iterator] (): Generator<Item, void> {
    for (const { items } of this.#pages.values()) {
      for (let i = 0; i < PAGE_SIZE; i++) {
        const item = items[i]
        if (item !== undefined) yield item
      }
    }
  }

  get (key: number): Item | undefined {
    return Number.isSafeInteger(key) ? this.#pages.get(pageOf(key))?.items[key % PAGE_SIZE] : undefined
  }

  set (key: number, item: Item): void {
    const number = pageOf(key)
    let page = this.#pages.get(number)
    if (page === undefined) this.#pages.set(number, page = new Page())
    const place = key % PAGE_SIZE
    if (page.items[place] === undefined) {
      page.count++
      this.#size++
    }
    page.items[place] = item
  }

  delete (key: number): void {
    const number = pageOf(key)
    const page = this.#pages.get(number)
    const place = key % PAGE_SIZE
    if (page?.items[place] === undefined) return
    page.items[place] = undefined
    this.#size--
    if (--page.count === 0) this.#pages.delete(number)
  }
}

function pageOf (key: number): number {
  return Math.floor(key / PAGE_SIZE)
}
