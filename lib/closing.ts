// How a connection came to its end. The first close frame that either side sends decides, or the end of the socket.
import type { ConnectionClose } from '../types/close.ts'
import { CloseCode, isSendableCode, MAX_REASON_BYTES } from './close-codes.ts'
import { FST_ERR_WS_CLOSE_CODE, FST_ERR_WS_CLOSE_REASON, FST_ERR_WS_CLOSED } from './errors.ts'
import { inspect } from 'node:util'

const NETWORK: ConnectionClose = { code: CloseCode.AbnormalClosure, reason: '', initiator: 'network' }

export class Closing {
  #close: ConnectionClose | null = null

  /** The decision; as long as nobody has closed the connection, that the network will have. */
  get result (): ConnectionClose {
    return this.#close ?? NETWORK
  }

  /** This side wants no more messages. */
  get isOurs (): boolean {
    return this.#close?.initiator === 'server'
  }

  decide (close: ConnectionClose): void {
    this.#close ??= close
  }

  /** ws has closed for an error of the peer, which looked like an answer to a close frame. */
  decideByError (code: number): void {
    if (this.#close === null || this.#close.initiator === 'peer') this.#close = { code, reason: '', initiator: 'server' }
  }

  /** For those who wait for the connection to do something more. */
  error (): Error {
    const { code: closeCode, reason } = this.result
    const what = reason === '' ? String(closeCode) : `${closeCode} ${inspect(reason)}`
    return Object.assign(FST_ERR_WS_CLOSED(what), { closeCode, reason })
  }

  /** For those who read to the end: `null` if that was a normal one. */
  iterationError (): Error | null {
    const { code } = this.result
    return code === CloseCode.Normal || code === CloseCode.GoingAway ? null : this.error()
  }
}

/** @throws FST_ERR_WS_CLOSE_CODE, FST_ERR_WS_CLOSE_REASON */
export function checkClose (code: unknown, reason: unknown): void {
  if (code !== undefined && !isSendableCode(code)) throw FST_ERR_WS_CLOSE_CODE(inspect(code))
  if (reason === undefined) return
  if (typeof reason !== 'string' && !(reason instanceof Uint8Array)) throw FST_ERR_WS_CLOSE_REASON(inspect(reason))
  const length = Buffer.byteLength(reason)
  if (length > MAX_REASON_BYTES) throw FST_ERR_WS_CLOSE_REASON(`${length} bytes`)
}
