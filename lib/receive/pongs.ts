// Answers to pings. While one answer is on its way, only the last of the pings that came meanwhile is kept for the next
// (RFC 6455 section 5.5.3): a flood of pings costs neither memory nor the connection.

/** Sends a pong; calls back when it has left. */
export type SendPong = (data: Buffer, callback: () => void) => void

export class Pongs {
  readonly #send: SendPong
  #isSending = false
  #next: Buffer | null = null

  constructor (send: SendPong) {
    this.#send = send
  }

  answer (data: Buffer): void {
    if (this.#isSending) {
      // A copy: the data is a part of a chunk of up to 64 KiB.
      this.#next = Buffer.from(data)
    } else {
      this.#isSending = true
      this.#send(data, this.#handleSent)
    }
  }

  readonly #handleSent = (): void => {
    const next = this.#next
    this.#isSending = false
    this.#next = null
    if (next !== null) this.answer(next)
  }
}
