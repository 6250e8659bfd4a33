// A message for many: serialised once for each codec, whatever the number of connections that have it.
import { FST_ERR_WS_SEND_INVALID } from '../errors.ts'
import { type EncodedMessage, type MessageCodec, RAW_MESSAGES } from '../messages/message-schemas.ts'
import { isBlob } from '../messages/payload.ts'
import { FramedMessage } from '../send/framed-message.ts'
import type { RemoteMessage, Payload } from './emitter-message.ts'

type Encode = MessageCodec['encode']
type Encoded = Exclude<EncodedMessage, Blob>

export class PublishedMessage {
  readonly #value: unknown
  readonly #framed = new Map<Encode, FramedMessage>()
  // As it is without a schema.
  #raw: Encoded | undefined
  #size = 0

  /** @throws FST_ERR_WS_SEND_INVALID for a Blob: to read it takes time, and what is published next would overtake it */
  constructor (value: unknown, raw?: Encoded) {
    if (isBlob(value)) throw FST_ERR_WS_SEND_INVALID('a Blob goes to one connection only, publish what its arrayBuffer() resolves to')
    this.#value = value
    this.#raw = raw
  }

  /** A message of another process. */
  static from ({ value, raw }: RemoteMessage): PublishedMessage {
    return new PublishedMessage(value, raw)
  }

  /** Of all that was prepared, in bytes. */
  get size (): number {
    return this.#size
  }

  /** What other processes need to know of it. @throws FST_ERR_WS_SEND_INVALID */
  get payload (): Payload {
    const payload = this.#encodeRaw()
    if (typeof payload === 'string') return { type: payload === this.#value ? 'text' : 'json', payload }
    // A copy: an emitter may keep it for a while, and the data may be used again.
    const bytes = ArrayBuffer.isView(payload) ? new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength) : new Uint8Array(payload)
    return { type: 'binary', payload: Buffer.from(bytes) }
  }

  /** Serialises it for a codec, unless that has been done. @throws FST_ERR_WS_SEND_INVALID */
  prepare (encode: Encode): void {
    if (this.#framed.has(encode)) return
    const framed = new FramedMessage(encode === RAW_MESSAGES.encode ? this.#encodeRaw() : encode(this.#value) as Encoded)
    this.#framed.set(encode, framed)
    this.#size += framed.size
  }

  /** What was prepared. */
  get (encode: Encode): FramedMessage | undefined {
    return this.#framed.get(encode)
  }

  #encodeRaw (): Encoded {
    this.#raw ??= RAW_MESSAGES.encode(this.#value) as Encoded
    return this.#raw
  }
}
