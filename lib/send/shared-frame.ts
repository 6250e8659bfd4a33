// A frame that goes to many peers as it is. Peers that get two of them in one turn mostly get the same two: one buffer with both
// is made for all of them, and written once to each (bench/fan-out.ts, 4 outstanding).

// Joining one more copies all that is before it, so a burst of many small frames must not become one long buffer.
const MAX_JOINED_BYTES = 2 * 1024

export class SharedFrame {
  readonly bytes: Buffer
  #next: SharedFrame | null = null
  #joined: SharedFrame | null = null

  constructor (bytes: Buffer) {
    this.bytes = bytes
  }

  /** Returns this frame with another behind it, or `null`: it is joined with the first one that it is asked for, and no other. */
  join (next: SharedFrame): SharedFrame | null {
    if (this.#next === null) {
      this.#next = next
      const isShort = this.bytes.length + next.bytes.length <= MAX_JOINED_BYTES
      this.#joined = isShort ? new SharedFrame(Buffer.concat([this.bytes, next.bytes])) : null
    }
    return this.#next === next ? this.#joined : null
  }
}
