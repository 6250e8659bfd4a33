// A message for many: framed once, and compressed once for all connections that have agreed on the same compression.
import { frameOf } from './frame.ts'
import type { SharedDeflate } from './shared-deflate.ts'
import { SharedFrame } from './shared-frame.ts'

const RSV1 = 0x40 // the message is compressed (RFC 7692 section 6)

export class FramedMessage {
  /** As ws takes it; binary data are a copy. */
  readonly data: string | Buffer
  readonly isBinary: boolean
  /** Of the payload, in bytes. */
  readonly size: number
  readonly #frame: SharedFrame
  #compressed: Map<SharedDeflate, SharedFrame | null> | null = null

  constructor (message: string | ArrayBufferLike | NodeJS.ArrayBufferView) {
    this.isBinary = typeof message !== 'string'
    const data = typeof message === 'string' || ArrayBuffer.isView(message) ? message : new Uint8Array(message)
    this.size = Buffer.byteLength(data)
    this.#frame = new SharedFrame(frameOf(data, this.size, this.isBinary))
    this.data = typeof data === 'string' ? data : this.#payload
  }

  /** The frame for a connection, or `null` if it has to compress the message for itself. */
  frameFor (deflate: SharedDeflate | null): SharedFrame | null {
    if (deflate === null || !deflate.isFor(this.size)) return this.#frame
    const compressed = this.#compressed ??= new Map()
    let frame = compressed.get(deflate)
    if (frame === undefined) compressed.set(deflate, frame = this.#compress(deflate))
    return frame
  }

  get #payload (): Buffer {
    const { bytes } = this.#frame
    return bytes.subarray(bytes.length - this.size)
  }

  #compress (deflate: SharedDeflate): SharedFrame | null {
    const payload = deflate.compress(this.#payload)
    if (payload === null) return null
    // A message that does not get smaller goes as it is: RSV1 says of each one whether it is compressed.
    if (payload.length >= this.size) return this.#frame
    const frame = frameOf(payload, payload.length, this.isBinary)
    frame[0] = (frame[0] as number) | RSV1
    return new SharedFrame(frame)
  }
}
