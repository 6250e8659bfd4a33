// A frame that goes to many peers as it is. Those who get several in one turn get the same ones, mostly: one buffer with both
// is made for all of them, which needs one write for each peer (bench/fan-out.ts, 4 outstanding).

// To join one more copies all that is before it, so a burst of many small ones must not become one long one.
const MAX_JOINED_BYTES = 2 * 1024

export class SharedFrame {
  readonly bytes: Buffer
  #next: SharedFrame | null = null
  #joined: SharedFrame | null = null

  constructor (bytes: Buffer) {
    this.bytes = bytes
  }

  /** This one and another behind it, or `null`: it is joined with the first that is asked for, and with no other. */
  join (next: SharedFrame): SharedFrame | null {
    if (this.#next === null) {
      this.#next = next
      const isShort = this.bytes.length + next.bytes.length <= MAX_JOINED_BYTES
      this.#joined = isShort ? new SharedFrame(Buffer.concat([this.bytes, next.bytes])) : null
    }
    return this.#next === next ? this.#joined : null
  }
}
