// How many subscribers are sent to in one slice without others waiting long. It depends on the machine and on how many
// connections there are: what is not in the processor's caches takes twice as long (bench/bystander.ts).

// Milliseconds. A turn of the event loop takes a few microseconds by itself: with shorter slices these would add up, and
// others would hardly notice the difference.
const SLICE_TIME = 0.12
const MOST = 50
const FEWEST = 10
// A single slice says little: there may have been a garbage collection in it.
const MOST_SHRINKING = 0.7
const MOST_GROWTH = 1.2

export class SliceSize {
  #size = MOST

  /** How many subscribers the next slice has at most. */
  get size (): number {
    return this.#size
  }

  /** A slice of this size took so many milliseconds. */
  note (elapsed: number): void {
    const change = Math.min(Math.max(SLICE_TIME / elapsed, MOST_SHRINKING), MOST_GROWTH)
    this.#size = Math.min(Math.max(this.#size * change, FEWEST), MOST)
  }
}
