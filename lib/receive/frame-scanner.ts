// Follows the frames of a peer on the wire, without their payloads (RFC 6455 section 5.2): where a message ends, and whether a
// close frame of the peer is what ws is at. ws tells neither.

const OPCODE = 0x0f
const OPCODE_CLOSE = 8 // control frames have this one and those above it
const FIN = 0x80
const MASK = 0x80
const MASK_BYTES = 4
const LONGEST_HEADER = 14

const NOTHING = Buffer.alloc(0)

/** One for each connection, so it keeps as little as can be (bench/memory.ts). */
export class FrameScanner {
  #first = 0 // byte of the frame
  #left = 0 // bytes of its payload that have not come
  #header = NOTHING // the beginning of one whose rest has not come
  #untold = 0 // messages, pings and pongs that have come, and that ws has not told of

  /** Whether ws is at the close frame of the peer: it has told of all that came before. Only once: ws answers it once. */
  takeClose (): boolean {
    if (!this.#hasClosed || this.#untold > 0) return false
    this.#untold = Infinity
    return true
  }

  /** ws has told of a message, a ping or a pong, and all has been done for it. */
  noteHandled (): void {
    this.#untold--
  }

  /** Whether the last scan has stopped behind the last frame of a message. */
  get isAtMessageEnd (): boolean {
    return this.#first >= FIN && this.#opcode < OPCODE_CLOSE && this.#left === 0 && this.#header.length === 0
  }

  /** Goes on with a chunk, up to the end of a message or of the chunk, and returns where that is. */
  scan (chunk: Buffer, start: number): number {
    let at = start
    while (at < chunk.length) {
      if (this.#hasClosed) return chunk.length
      if (this.#left === 0) {
        const end = this.#readHeader(chunk, at)
        if (end === null) return chunk.length
        at = end
      }
      const count = Math.min(this.#left, chunk.length - at)
      this.#left -= count
      at += count
      if (this.#left > 0) return at
      if (this.#opcode > OPCODE_CLOSE) this.#untold++
      else if (this.isAtMessageEnd) {
        this.#untold++
        return at
      }
    }
    return at
  }

  get #opcode (): number {
    return this.#first & OPCODE
  }

  // Nothing is read behind it.
  get #hasClosed (): boolean {
    return this.#opcode === OPCODE_CLOSE && this.#left === 0
  }

  // Where the payload begins; `null` if the header is not complete.
  #readHeader (chunk: Buffer, at: number): number | null {
    const known = this.#header.length
    const [header, start] = known === 0 ? [chunk, at] : [Buffer.concat([this.#header, chunk.subarray(at, at + LONGEST_HEADER)]), 0]
    const length = header.length - start < 2 ? LONGEST_HEADER : headerLength(header[start + 1] as number)
    if (header.length - start < length) {
      this.#header = Buffer.from(header.subarray(start))
      return null
    }
    this.#header = NOTHING
    this.#first = header[start] as number
    this.#left = payloadLength(header, start)
    return at + length - known
  }
}

function headerLength (second: number): number {
  const length = second & ~MASK
  return 2 + (length < 126 ? 0 : length === 126 ? 2 : 8) + (second >= MASK ? MASK_BYTES : 0)
}

// A number that is too long for ws ends the connection, so it need not be exact.
function payloadLength (header: Buffer, start: number): number {
  const length = (header[start + 1] as number) & ~MASK
  if (length < 126) return length
  return length === 126 ? header.readUInt16BE(start + 2) : header.readUInt32BE(start + 2) * 2 ** 32 + header.readUInt32BE(start + 6)
}
