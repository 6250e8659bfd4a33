// A message for many: serialised once for each codec, whatever the number of connections that have it.
import { type MessageCodec, RAW_MESSAGES } from '../messages/message-schemas.ts'
import { FramedMessage } from '../send/framed-message.ts'
import type { RemoteMessage, Payload } from './emitter-message.ts'

type Encode = MessageCodec['encode']
type Encoded = ReturnType<Encode>

export class PublishedMessage {
  readonly #value: unknown
  readonly #framed = new Map<Encode, FramedMessage>()
  // As it is without a schema.
  #raw: Encoded | undefined

  constructor (value: unknown, raw?: Encoded) {
    this.#value = value
    this.#raw = raw
  }

  /** A message of another process. */
  static from ({ value, raw }: RemoteMessage): PublishedMessage {
    return new PublishedMessage(value, raw)
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
    this.#framed.set(encode, new FramedMessage(encode === RAW_MESSAGES.encode ? this.#encodeRaw() : encode(this.#value)))
  }

  /** What was prepared. */
  get (encode: Encode): FramedMessage | undefined {
    return this.#framed.get(encode)
  }

  #encodeRaw (): Encoded {
    this.#raw ??= RAW_MESSAGES.encode(this.#value)
    return this.#raw
  }
}
