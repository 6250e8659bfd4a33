// A connection keeps its request, and with it the headers that it came with: for a browser that is more than all the rest.
// Most of them are the same for many clients, but the parser makes new strings each time. Here they become the same strings.
import type { IncomingMessage } from 'node:http'

const MAX_STRINGS = 1_000
const MAX_LENGTH = 256

// Those whose values many clients share; a cookie or a token is a client's own.
const SHARED = new Set([
  'accept', 'accept-encoding', 'accept-language', 'cache-control', 'connection', 'host', 'origin', 'pragma',
  'sec-fetch-dest', 'sec-fetch-mode', 'sec-fetch-site', 'sec-websocket-extensions', 'sec-websocket-protocol',
  'sec-websocket-version', 'upgrade', 'user-agent', 'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-proto'
])

// A handshake has no body, and so nothing behind one.
const NO_TRAILERS = Object.freeze<string[]>([]) as string[]

export class HeaderPool {
  readonly #strings = new Map<string, string>()

  /** How many strings it keeps; never more than 1000. */
  get size (): number {
    return this.#strings.size
  }

  /** Replaces the strings of a request by equal ones that other requests have. */
  share (request: IncomingMessage): void {
    const { rawHeaders, headers } = request
    request.httpVersion = this.#share(request.httpVersion)
    request.rawTrailers = NO_TRAILERS
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = this.#share(rawHeaders[i] as string)
      const key = this.#share(name.toLowerCase())
      rawHeaders[i] = name
      if (!SHARED.has(key)) continue
      const value = this.#share(rawHeaders[i + 1] as string)
      rawHeaders[i + 1] = value
      // Of a field that came twice Node keeps one, or joins them.
      if (headers[key] === value) headers[key] = value
    }
  }

  #share (text: string): string {
    const shared = this.#strings.get(text)
    if (shared !== undefined) return shared
    if (text.length > MAX_LENGTH) return text
    // Full of what nobody shares: those that are shared will be back soon.
    if (this.#strings.size === MAX_STRINGS) this.#strings.clear()
    this.#strings.set(text, text)
    return text
  }
}
