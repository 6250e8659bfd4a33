// What is sent to one peer within a turn of the event loop, on its way into the stream. Small frames are laid out one behind
// the other in one buffer, which is written once. A frame that stays the only one of its turn is written as it is, without
// corking the stream (bench/messages.ts, echo of 32 B with 4 and 16 in flight).
import type { Duplex } from 'node:stream'
import { flushAtTurnEnd } from './end-of-turn.ts'
import { frameLength, frameOf, writeFrame } from './frame.ts'
import type { SendCallback } from './send-arguments.ts'
import type { SharedFrame } from './shared-frame.ts'

const SLAB_BYTES = 32 * 1024
// If more than this waits in the stream, the peer is slow.
const MAX_WAITING_BYTES = 4 * 1024

let slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
let used = 0

// Nothing waits ─→ something waits for the end of the turn ─→ some of it is in the stream, which is corked
const BatchState = { Idle: 0, Due: 1, Corked: 2 } as const
type State = typeof BatchState[keyof typeof BatchState]

export abstract class Batch {
  readonly stream: Duplex
  /** Whether frames wait for the end of the turn at all. */
  protected abstract readonly isCorking: boolean
  // What is not in the stream yet, from `start` to `end`.
  #buffer: Buffer | null = null
  #shared: SharedFrame | null = null // whose bytes these are, if they go to many
  #start = 0
  #end = 0
  #state: State = BatchState.Idle

  constructor (stream: Duplex) {
    this.stream = stream
  }

  /** Bytes that are not in the stream yet. */
  get gathered (): number {
    return this.#end - this.#start
  }

  /** Whether something waits for the end of the turn. */
  get isDue (): boolean {
    return this.#state !== BatchState.Idle
  }

  /** Adds a frame that goes to many. */
  addShared (frame: SharedFrame): void {
    if (!this.isCorking) {
      this.stream.write(frame.bytes)
      return
    }
    const joined = this.#shared === null ? null : this.#shared.join(frame)
    if (joined === null) {
      this.#take(frame.bytes, 0, frame.bytes.length)
      this.#shared = frame
    } else {
      this.#buffer = joined.bytes
      this.#end = joined.bytes.length
      this.#shared = joined
    }
  }

  /** Makes the frame of a message, and adds it. */
  addMessage (data: string | NodeJS.ArrayBufferView, size: number, isBinary: boolean): void {
    if (!this.isCorking) {
      this.stream.write(frameOf(data, size, isBinary))
      return
    }
    const length = frameLength(size)
    if (used + length > SLAB_BYTES) {
      slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      used = 0
    }
    writeFrame(slab, used, data, size, isBinary)
    const start = used
    used += length
    if (this.#buffer === slab && this.#end === start) this.#end = used
    else this.#take(slab, start, used)
  }

  /** Adds a frame, with a callback for when the stream has written it. */
  write (frame: Buffer, callback: SendCallback): void {
    this.cork()
    this.stream.write(frame, callback)
  }

  /** Writes all that was added, and this frame behind it, without waiting for the end of the turn. */
  writeNow (frame: Buffer, callback: SendCallback): void {
    this.flush()
    this.stream.write(frame, callback)
  }

  /** Corks the stream: whoever writes to it from now on, it leaves at the end of this turn, together. */
  cork (): void {
    if (!this.isCorking) return
    this.#awaitTurnEnd()
    this.#corkStream()
    this.#writeBuffer()
  }

  /** Writes what was added into the stream, before something else goes there. */
  writeGathered (): void {
    if (this.#buffer === null) return
    this.#corkStream()
    this.#writeBuffer()
  }

  /** Writes and uncorks what waits for the end of the turn. */
  flush (): void {
    const state = this.#state
    this.#state = BatchState.Idle
    if (state === BatchState.Idle) return
    this.#writeBuffer()
    if (state === BatchState.Corked) this.stream.uncork()
  }

  #take (buffer: Buffer, start: number, end: number): void {
    if (this.#buffer === null) this.#awaitTurnEnd()
    else this.writeGathered()
    this.#buffer = buffer
    this.#start = start
    this.#end = end
  }

  #awaitTurnEnd (): void {
    if (this.#state !== BatchState.Idle) return
    this.#state = BatchState.Due
    flushAtTurnEnd(this)
  }

  #corkStream (): void {
    if (this.#state === BatchState.Corked) return
    this.#state = BatchState.Corked
    this.stream.cork()
  }

  #writeBuffer (): void {
    const buffer = this.#buffer
    if (buffer === null) return
    const { stream } = this
    const [start, end] = [this.#start, this.#end]
    this.#buffer = this.#shared = null
    this.#start = this.#end = 0
    // The socket may be gone meanwhile.
    if (!stream.writable) return
    if (end - start === buffer.length) stream.write(buffer)
    // A few bytes that wait for long would keep all of a slab.
    else stream.write(stream.writableLength > MAX_WAITING_BYTES ? copyOf(buffer, start, end) : buffer.subarray(start, end))
  }
}

function copyOf (buffer: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start)
  buffer.copy(copy, 0, start, end)
  return copy
}
