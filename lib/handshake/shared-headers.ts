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

/** The name of a field, as it came and in lower case. */
interface Name {
  readonly text: string
  readonly key: string
  readonly isShared: boolean
}

export class HeaderPool {
  readonly #strings = new Map<string, string>()
  readonly #names = new Map<string, Name>()

  /** How many strings it keeps, and how many names; never more than 1000 of each. */
  get size (): number {
    return this.#strings.size + this.#names.size
  }

  /** Replaces the strings of a request by equal ones that other requests have. */
  share (request: IncomingMessage): void {
    const { rawHeaders, headers } = request
    request.httpVersion = this.#share(request.httpVersion)
    request.rawTrailers = NO_TRAILERS
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const { text, key, isShared } = this.#shareName(rawHeaders[i] as string)
      rawHeaders[i] = text
      if (!isShared) continue
      const value = this.#share(rawHeaders[i + 1] as string)
      rawHeaders[i + 1] = value
      // Of a field that came twice Node keeps one, or joins them.
      if (headers[key] === value) headers[key] = value
    }
  }

  #share (text: string): string {
    const shared = this.#strings.get(text)
    if (shared !== undefined) return shared
    if (text.length <= MAX_LENGTH) keep(this.#strings, text, text)
    return text
  }

  #shareName (text: string): Name {
    const shared = this.#names.get(text)
    if (shared !== undefined) return shared
    const key = text.toLowerCase()
    const name = { text, key, isShared: SHARED.has(key) }
    if (text.length <= MAX_LENGTH) keep(this.#names, text, name)
    return name
  }
}

function keep<Value> (map: Map<string, Value>, text: string, value: Value): void {
  // Full of what nobody shares: those that are shared will be back soon.
  if (map.size === MAX_STRINGS) map.clear()
  map.set(text, value)
}
