// How many can be sent to in one go without others waiting long: it depends on the machine, and on how many connections there
// are, since what is not in the processor's caches takes twice as long (bench/bystander.ts).

// Milliseconds. A turn of the event loop takes a few microseconds on its own, so that shorter ones would cost all more than
// they would give others.
const SLICE_TIME = 0.12
const MOST = 50
const FEWEST = 10
// One slice says little: there may have been a garbage collection in it.
const MOST_SHRINKING = 0.7
const MOST_GROWTH = 1.2

export class SliceSize {
  #size = MOST

  /** So many, at most. */
  get size (): number {
    return this.#size
  }

  /** To so many was sent within so many milliseconds. */
  note (elapsed: number): void {
    const change = Math.min(Math.max(SLICE_TIME / elapsed, MOST_SHRINKING), MOST_GROWTH)
    this.#size = Math.min(Math.max(this.#size * change, FEWEST), MOST)
  }
}
