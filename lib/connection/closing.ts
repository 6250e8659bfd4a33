// How a connection came to its end. The first close frame that either side sends decides, or the end of the socket.
import { inspect } from 'node:util'
import type { ConnectionClose } from '../../types/close.ts'
import { CloseCode, isSendableCode, MAX_REASON_BYTES } from '../close-codes.ts'
import { FST_ERR_WS_CLOSE_CODE, FST_ERR_WS_CLOSE_REASON, FST_ERR_WS_CLOSED } from '../errors.ts'
import { now } from '../timers.ts'

// What has decided a close that nobody has asked for.
const NETWORK_CLOSE: ConnectionClose = Object.freeze({ code: CloseCode.AbnormalClosure, reason: '', initiator: 'network' })

const NORMAL_CODES: ReadonlySet<number> = new Set([CloseCode.Normal, CloseCode.GoingAway, CloseCode.NoStatusReceived])

/** Whether, when and by what a connection has begun to close. */
export class Closing {
  #result: ConnectionClose | null = null
  #since = 0
  #abort: AbortController | null = null // from when its signal is asked for
  /** The error of the peer that ws has closed it for. */
  peerError: object | null = null
  /** What it subscribed to until the socket was gone. */
  topics: readonly string[] = []
  /** Until when `onClose` waits for the callbacks before it. */
  lastCall: NodeJS.Timeout | undefined = undefined

  /** Whether the connection has begun to close. */
  get hasBegun (): boolean {
    return this.#result !== null
  }

  /** What has decided, or will have if nothing comes before the end of the socket. */
  get result (): ConnectionClose {
    return this.#result ?? NETWORK_CLOSE
  }

  /** For those who wait for the connection to do something more. */
  get error (): Error {
    return closedError(this.result)
  }

  /** Is aborted when the connection begins to close, or is lost. */
  get signal (): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.hasBegun) this.abort()
    return this.#abort.signal
  }

  abort (): void {
    this.#abort?.abort(this.error)
  }

  /** The first one decides. */
  begin (result: ConnectionClose = NETWORK_CLOSE): void {
    if (this.hasBegun) return
    this.#result = result
    this.#since = now()
    this.abort()
  }

  /** What had decided was told wrong. */
  correct (result: ConnectionClose): void {
    this.begin(result)
    this.#result = result
  }

  /** What is left of so many milliseconds from when it has begun. */
  timeLeft (timeout: number): number {
    return Math.max(timeout - (now() - this.#since), 1)
  }
}

function closedError ({ code: closeCode, reason }: ConnectionClose): Error {
  const what = reason === '' ? String(closeCode) : `${closeCode} ${inspect(reason)}`
  return Object.assign(FST_ERR_WS_CLOSED(what), { closeCode, reason })
}

/** For those who read to the end: `null` if that was a normal one. */
export function iterationError (closing: Closing): Error | null {
  return NORMAL_CODES.has(closing.result.code) ? null : closing.error
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
