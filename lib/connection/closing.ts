// How a connection came to its end. The first close frame that either side sends decides, or the end of the socket.
import { inspect } from 'node:util'
import type { ConnectionClose } from '../../types/close.ts'
import { CloseCode, isSendableCode, MAX_REASON_BYTES } from '../close-codes.ts'
import { FST_ERR_WS_CLOSE_CODE, FST_ERR_WS_CLOSE_REASON, FST_ERR_WS_CLOSED } from '../errors.ts'

/** What has decided a close that nobody has asked for. */
export const NETWORK_CLOSE: ConnectionClose = Object.freeze({ code: CloseCode.AbnormalClosure, reason: '', initiator: 'network' })

const NORMAL_CODES: ReadonlySet<number> = new Set([CloseCode.Normal, CloseCode.GoingAway, CloseCode.NoStatusReceived])

/** For those who wait for the connection to do something more. */
export function closedError ({ code: closeCode, reason }: ConnectionClose): Error {
  const what = reason === '' ? String(closeCode) : `${closeCode} ${inspect(reason)}`
  return Object.assign(FST_ERR_WS_CLOSED(what), { closeCode, reason })
}

/** For those who read to the end: `null` if that was a normal one. */
export function iterationError (close: ConnectionClose): Error | null {
  return NORMAL_CODES.has(close.code) ? null : closedError(close)
}

/** @throws FST_ERR_WS_CLOSE_CODE, FST_ERR_WS_CLOSE_REASON */
export function checkClose (code: unknown, reason: unknown): void {
  if (code !== undefined && !isSendableCode(code)) throw FST_ERR_WS_CLOSE_CODE(inspect(code))
  if (reason === undefined) return
  if (typeof reason !== 'string' && !(reason instanceof Uint8Array)) throw FST_ERR_WS_CLOSE_REASON(inspect(reason))
  const length = Buffer.byteLength(reason)
  if (length > MAX_REASON_BYTES) throw FST_ERR_WS_CLOSE_REASON(`${length} bytes`)
}

/** A reason as the peer gets it: a string becomes UTF-8. */
export function toText (reason: string | Buffer | undefined): string {
  return reason === undefined ? '' : Buffer.isBuffer(reason) ? reason.toString() : Buffer.from(reason).toString()
}
