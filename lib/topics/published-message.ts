// A message for many: serialised once for each codec, whatever the number of connections that have it.
import { WebSocket } from 'ws'
import { FST_ERR_WS_SEND_INVALID } from '../errors.ts'
import { type EncodedMessage, type MessageCodec, RAW_MESSAGES } from '../messages/message-schemas.ts'
import { isBlob } from '../messages/payload.ts'
import { FramedMessage } from '../send/framed-message.ts'
import type { MessageForAll } from './deliveries.ts'
import type { EmitterPayload } from './emitter-message.ts'
import type { Subscriber } from './topics.ts'

type Encode = MessageCodec['encode']
type Encoded = Exclude<EncodedMessage, Blob>

export class PublishedMessage implements MessageForAll {
  readonly #value: unknown
  readonly #publisher: Subscriber | null
  readonly #framed = new Map<Encode, FramedMessage | undefined>()
  // As it is sent without a schema.
  #raw: Encoded | undefined
  #size = 0

  /**
   * A message for all but its publisher; `raw` is what it is without a schema, if that is known.
   *
   * @throws FST_ERR_WS_SEND_INVALID for a Blob: to read it takes time, and what is published next would overtake it
   */
  constructor (value: unknown, publisher: Subscriber | null, raw?: Encoded) {
    if (isBlob(value)) throw FST_ERR_WS_SEND_INVALID('', 'a Blob goes to one connection only, publish what its arrayBuffer() resolves to')
    this.#value = value
    this.#publisher = publisher
    this.#raw = raw
  }

  /** The bytes of all its serialised forms together. */
  get size (): number {
    return this.#size
  }

  /** What other processes are sent. @throws FST_ERR_WS_SEND_INVALID */
  get payload (): EmitterPayload {
    const payload = this.#encodeRaw()
    if (typeof payload === 'string') return { type: payload === this.#value ? 'text' : 'json', payload }
    // A copy: an emitter may keep it for a while, and the data may be used again.
    const bytes = ArrayBuffer.isView(payload) ? new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength) : new Uint8Array(payload)
    return { type: 'binary', payload: Buffer.from(bytes) }
  }

  /**
   * Serialises it for all who are to get it, and returns how many they are.
   *
   * @throws FST_ERR_WS_SEND_INVALID, without `handleError`; with it, those whose codec has failed do not get the message
   */
  prepareFor (subscribers: Iterable<Subscriber>, handleError?: (error: unknown) => void): number {
    let count = 0
    for (const subscriber of subscribers) {
      if (subscriber === this.#publisher || subscriber.readyState !== WebSocket.OPEN) continue
      this.prepare(subscriber.route.messages.encode, handleError)
      count++
    }
    return count
  }

  /** Serialises it for one codec, unless that has been done. @throws FST_ERR_WS_SEND_INVALID, without `handleError` */
  prepare (encode: Encode, handleError?: (error: unknown) => void): void {
    if (this.#framed.has(encode)) return
    try {
      const framed = new FramedMessage(encode === RAW_MESSAGES.encode ? this.#encodeRaw() : encode(this.#value) as Encoded)
      this.#framed.set(encode, framed)
      this.#size += framed.size
    } catch (error) {
      if (handleError === undefined) throw error
      this.#framed.set(encode, undefined)
      handleError(error)
    }
  }

  for (subscriber: Subscriber): FramedMessage | undefined {
    return subscriber === this.#publisher ? undefined : this.#framed.get(subscriber.route.messages.encode)
  }

  #encodeRaw (): Encoded {
    this.#raw ??= RAW_MESSAGES.encode(this.#value) as Encoded
    return this.#raw
  }
}
