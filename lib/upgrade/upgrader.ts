// ws completes the upgrade: it writes the 101, opens the connection on which the handshake ran, and frames what follows.
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import type { Transport } from '../connection/connection-route.ts'
import type { Connection } from '../connection/connection.ts'
import { PacedStream } from '../receive/paced-stream.ts'
import { endOnce } from '../seams/end-once.ts'
import { existing } from '../seams/server-websocket.ts'
import { agreedDeflate } from '../send/shared-deflate.ts'
import type { ServerOptions } from '../server-options.ts'
import { unguard } from './socket-guard.ts'

/** What goes into one upgrade. */
export interface Upgrade {
  readonly connection: Connection
  readonly protocol: string | undefined
  readonly headerLines: readonly string[]
  /** On what the connection opens; set before it does. */
  transport: Transport | null
}

// ws keeps each fragment of a message, and each piece of one in which it has come, by itself: that takes some 700 bytes beside what is in
// it. With one for so many bytes of the longest message, one that is not complete costs a small multiple of `maxPayload` at most.
const BYTES_PER_PART = 128
const MIN_PARTS = 1_024

const NOTHING = Buffer.alloc(0)
const NOOP = (): void => {}

export class Upgrader {
  readonly #server: WebSocketServer
  readonly #serverWithoutDeflate: WebSocketServer | null
  readonly #closeTimeout: number
  // ws completes an upgrade within the call, so there is one at a time.
  #current: Upgrade | null = null
  #isRefused = false

  constructor (options: ServerOptions) {
    this.#closeTimeout = options.closeTimeout
    this.#server = this.#createServer(options, options.perMessageDeflate)
    this.#serverWithoutDeflate = options.perMessageDeflate === false ? null : this.#createServer(options, false)
  }

  /** Writes the 101 and opens the connection. Returns `false` if the socket had been closed. */
  upgrade (request: IncomingMessage, socket: Socket, head: Buffer, upgrade: Upgrade): boolean {
    const paced = this.#mayDeflate(request) ? new PacedStream(socket, head, this.#closeTimeout) : null
    const [stream, rest] = paced === null ? [socket, head] : [paced, NOTHING]
    this.#current = upgrade
    this.#isRefused = false
    upgrade.transport = { socket, paced, deflate: null }
    endOnce(stream)
    try {
      this.#server.handleUpgrade(request, stream, rest, NOOP)
      // A deflate offer that is malformed or cannot be met is declined, not an error (RFC 7692 section 5.1).
      if (this.#isRefused) this.#serverWithoutDeflate?.handleUpgrade(request, stream, rest, NOOP)
    } finally {
      this.#current = null
    }
    // A listener for 'open' may have closed it already.
    if (upgrade.connection.readyState === WebSocket.CONNECTING) return false
    // ws listens to what it has been given.
    if (paced === null) unguard(socket)
    return true
  }

  #mayDeflate (request: IncomingMessage): boolean {
    return this.#serverWithoutDeflate !== null && request.headers['sec-websocket-extensions'] !== undefined
  }

  #createServer (options: ServerOptions, perMessageDeflate: ServerOptions['perMessageDeflate']): WebSocketServer {
    const most = Math.max(MIN_PARTS, Math.ceil(options.maxPayload / BYTES_PER_PART))
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      handleProtocols: () => this.#current?.protocol ?? false,
      maxPayload: options.maxPayload,
      maxFragments: options.maxFragments ?? most,
      maxBufferedChunks: most,
      perMessageDeflate,
      skipUTF8Validation: options.skipUTF8Validation,
      WebSocket: existing(() => (this.#current as Upgrade).connection)
    })
    server.on('wsClientError', () => { this.#isRefused = true })
    server.on('headers', (lines) => {
      // Before ws opens the connection. Its lines are all that ws says of what was agreed on.
      const { transport, headerLines } = this.#current as Upgrade
      if (transport?.paced) transport.deflate = agreedDeflate(lines, perMessageDeflate)
      lines.push(...headerLines)
    })
    return server
  }
}
