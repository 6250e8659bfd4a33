// Between a socket and ws, where messages may be compressed: a chunk of 64 KiB may hold 64 MiB of them, and ws inflates all
// that it has been given. This gives it one message at a time, the next one when that has been delivered.
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

type Callback = (error?: Error | null) => void

const EMPTY = Buffer.alloc(0)
const MASK_BYTES = 4

export class PacedStream extends Duplex {
  readonly #socket: Socket
  #rest: Buffer
  #header = Buffer.alloc(14) // the longest header there is (RFC 6455 section 5.2)
  #headerLength = 0
  #payloadLeft = 0
  #isHolding = false // a whole message was passed on
  #isFull = false
  #isAdvancing = false
  #isFree = false
  #hasEnded = false

  constructor (socket: Socket, head: Buffer) {
    super()
    this.#socket = socket
    this.#rest = head
    socket.on('data', this.#handleData)
    socket.on('end', this.#handleEnd)
    socket.on('close', () => this.destroy())
  }

  /** The message that was passed on has been delivered. */
  next (): void {
    this.#isHolding = false
    this.#advance()
  }

  /** Nobody waits for messages any more: from now on all is passed on as it comes. */
  free (): void {
    this.#isFree = true
    this.next()
  }

  override _read (): void {
    this.#isFull = false
    this.#advance()
  }

  override _write (chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#socket.write(chunk, callback)
  }

  override _writev (chunks: Array<{ chunk: Buffer }>, callback: Callback): void {
    this.#socket.cork()
    for (const [i, { chunk }] of chunks.entries()) this.#socket.write(chunk, i === chunks.length - 1 ? callback : undefined)
    this.#socket.uncork()
  }

  override _final (callback: Callback): void {
    this.#socket.end(callback)
  }

  override _destroy (error: Error | null, callback: Callback): void {
    this.#rest = EMPTY
    this.#socket.destroy()
    callback(error)
  }

  readonly #handleData = (chunk: Buffer): void => {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    this.#advance()
  }

  readonly #handleEnd = (): void => {
    this.#hasEnded = true
    this.#advance()
  }

  // What is pushed may be delivered at once, and ask for the next.
  #advance (): void {
    if (this.#isAdvancing) return
    this.#isAdvancing = true
    while (this.#rest.length > 0 && !this.#isHolding && !this.#isFull) {
      const end = this.#isFree ? this.#rest.length : this.#scan(this.#rest)
      const part = this.#rest.subarray(0, end)
      this.#rest = this.#rest.subarray(end)
      if (!this.push(part)) this.#isFull = true
    }
    this.#isAdvancing = false
    if (this.#rest.length > 0) this.#socket.pause()
    else if (this.#hasEnded) this.push(null)
    else if (!this.#isFull) this.#socket.resume()
  }

  // Up to where a chunk may be passed on: to the end of a message in it, or as a whole.
  #scan (chunk: Buffer): number {
    let offset = 0
    while (offset < chunk.length) {
      if (this.#payloadLeft === 0) {
        this.#header[this.#headerLength++] = chunk[offset++] as number
        if (this.#headerLength < this.#headerSize) continue
        this.#payloadLeft = this.#payloadLength
      } else {
        const count = Math.min(this.#payloadLeft, chunk.length - offset)
        this.#payloadLeft -= count
        offset += count
      }
      if (this.#payloadLeft > 0) continue
      this.#headerLength = 0
      this.#isHolding = this.#endsMessage
      if (this.#isHolding) return offset
    }
    return offset
  }

  get #headerSize (): number {
    if (this.#headerLength < 2) return 2
    const second = this.#header[1] as number
    const [length, mask] = [second & 0x7f, (second & 0x80) === 0 ? 0 : MASK_BYTES]
    if (length < 126) return 2 + mask
    return length === 126 ? 4 + mask : 10 + mask
  }

  // A number that is too long for ws ends the connection, so it need not be exact.
  get #payloadLength (): number {
    const length = (this.#header[1] as number) & 0x7f
    if (length < 126) return length
    return length === 126 ? this.#header.readUInt16BE(2) : Number(this.#header.readBigUInt64BE(2))
  }

  // The last frame of a text or a binary message; control frames have opcodes from 8 on.
  get #endsMessage (): boolean {
    const first = this.#header[0] as number
    return (first & 0x80) !== 0 && (first & 0x0f) < 8
  }
}
