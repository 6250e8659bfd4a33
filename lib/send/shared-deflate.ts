// Compression that does not depend on what was sent before: with server_no_context_takeover (RFC 7692 section 7.1.1.1) a
// message that goes to many is compressed once for all connections that have agreed on the same parameters.
import { constants, deflateRawSync, type ZlibOptions } from 'node:zlib'
import type { PerMessageDeflateOptions } from 'ws'

// It compresses within the call. More than this would hold up everybody else.
const MAX_BYTES = 131_072

const DEFAULT_THRESHOLD = 1024 // of ws
const DEFAULT_WINDOW_BITS = 15 // of RFC 7692
const TAIL_BYTES = 4 // section 7.2.1: they are left out

const FIELD = /^sec-websocket-extensions: *permessage-deflate\b(?<parameters>.*)$/i
const WINDOW_BITS = /; *server_max_window_bits=(?<bits>\d+)/i

export class SharedDeflate {
  readonly #options: ZlibOptions
  readonly #threshold: number

  constructor ({ threshold = DEFAULT_THRESHOLD, zlibDeflateOptions }: PerMessageDeflateOptions, windowBits: number) {
    this.#options = { ...zlibDeflateOptions as ZlibOptions, windowBits, finishFlush: constants.Z_SYNC_FLUSH }
    this.#threshold = threshold
  }

  /** Whether a payload of this size is compressed at all. */
  isFor (size: number): boolean {
    return size >= this.#threshold
  }

  /** Returns the payload of a frame with RSV1 set, or `null` if it is so long that each connection compresses it for itself. */
  compress (payload: Buffer): Buffer | null {
    return payload.length > MAX_BYTES ? null : deflateRawSync(payload, this.#options).subarray(0, -TAIL_BYTES)
  }
}

const known = new WeakMap<object, Map<number, SharedDeflate>>()
const NO_OPTIONS: PerMessageDeflateOptions = {}

/** Reads from the lines of a 101 what was agreed on. Returns one object for all with the same parameters, `null` if nothing can be shared. */
export function agreedDeflate (lines: readonly string[], options: boolean | PerMessageDeflateOptions): SharedDeflate | null {
  const parameters = lines.map((line) => FIELD.exec(line)?.groups?.parameters).find((found) => found !== undefined)
  if (parameters === undefined || !/; *server_no_context_takeover\b/i.test(parameters)) return null
  const windowBits = Number(WINDOW_BITS.exec(parameters)?.groups?.bits ?? DEFAULT_WINDOW_BITS)
  const given = typeof options === 'boolean' ? NO_OPTIONS : options
  let byWindow = known.get(given)
  if (byWindow === undefined) known.set(given, byWindow = new Map())
  let shared = byWindow.get(windowBits)
  if (shared === undefined) byWindow.set(windowBits, shared = new SharedDeflate(given, windowBits))
  return shared
}
