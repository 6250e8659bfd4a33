// A message for many: serialised once for each codec, whatever the number of connections that have it.
import { FramedMessage } from './framed-message.ts'
import type { MessageCodec } from './message-schemas.ts'

type Encode = MessageCodec['encode']

export class Outgoing {
  readonly #value: unknown
  readonly #framed = new Map<Encode, FramedMessage>()

  constructor (value: unknown) {
    this.#value = value
  }

  /** Serialises it for a codec, unless that has been done. @throws FST_ERR_WS_SEND_INVALID */
  prepare (encode: Encode): void {
    if (!this.#framed.has(encode)) this.#framed.set(encode, new FramedMessage(encode(this.#value)))
  }

  /** What was prepared. */
  get (encode: Encode): FramedMessage | undefined {
    return this.#framed.get(encode)
  }
}
