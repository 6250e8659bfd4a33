// The response to an upgrade request. Fastify writes to it as to any other; what becomes of it depends on the status:
//
//                     writeHead(101) ──→ Accepted ── end() ──→ Closed   the WebSocket has the socket
//   Pending ─────────┤
//      │              writeHead(nnn) ──→ Refused ── finish ──→ Closed   an HTTP response, then a lingering close
//      └── client left ───────────────────────────────────→ Closed   the request is aborted
//
import { type IncomingMessage, type OutgoingHttpHeader, type OutgoingHttpHeaders, ServerResponse, validateHeaderName, validateHeaderValue } from 'node:http'
import type { Socket } from 'node:net'
import { FST_ERR_WS_UNEXPECTED_101 } from '../errors.ts'
import { SocketWatch } from './client-watch.ts'
import { lingeringClose } from './lingering-close.ts'
import { RETRY_AFTER } from './retry-after.ts'

/** A handshake on a route of ours, which has not been answered. */
export interface UpgradeAdmission {
  noteError (error: unknown): void
  /** It has taken too long. */
  expire (timeout: number): void
  handleAnswer (statusCode: number): void
}

/** What a response needs of the server that it belongs to. */
export interface UpgradeOwner {
  /** No handshake is accepted any more. */
  readonly isClosing: boolean
  /** The answer is decided: 101 when the WebSocket is open, the status of a refusal, or 0 if there will be none. */
  handleAnswer (response: UpgradeResponse, statusCode: number): void
  /** Nothing of it is left to do. */
  handleEnd (response: UpgradeResponse): void
}

const UpgradeState = {
  Pending: 'pending',
  Accepted: 'accepted',
  Refused: 'refused',
  Closed: 'closed'
} as const
type State = typeof UpgradeState[keyof typeof UpgradeState]

/** Makes a WebSocket of the socket; `headerLines` go into the 101. Returns `false` if the socket could not take it. */
export type CompleteUpgrade = (socket: Socket, head: Buffer, headerLines: readonly string[]) => boolean

// A 101 has neither body nor framing (RFC 9110 section 15.2), and the fields of the upgrade itself come from ws.
const NOT_ON_101 = new Set([
  'connection', 'upgrade', 'keep-alive', 'trailer', 'content-length', 'content-type', 'transfer-encoding',
  'sec-websocket-accept', 'sec-websocket-protocol', 'sec-websocket-extensions'
])

const NOTHING = Buffer.alloc(0)

const CLOSING_BODY = '{"error":"Service Unavailable","message":"Service Unavailable","statusCode":503}'

let lastNumber = 0

export class UpgradeResponse extends ServerResponse {
  readonly number: number = ++lastNumber
  lanePlace = 0
  dueAt = 0
  /** Set when it is a handshake on a route of ours. */
  admission: UpgradeAdmission | null = null
  /** Milliseconds until it is ended for having no answer. */
  timeout: number | false = false
  readonly #owner: UpgradeOwner
  readonly #socket: Socket
  #head: Buffer
  #watch: SocketWatch | null = null
  #state: State = UpgradeState.Pending
  #isOverruled = false // a reply that was under way comes too late, and is nobody's mistake
  #complete: CompleteUpgrade | null = null
  #headerLines: readonly string[] = []

  constructor (request: IncomingMessage, socket: Socket, head: Buffer, owner: UpgradeOwner) {
    super(request)
    this.#owner = owner
    this.#socket = socket
    this.#head = head
    this.on('finish', responseOnFinish)
    // Whatever has destroyed it.
    this.on('close', responseOnClose)
  }

  get isPending (): boolean {
    return this.#state === UpgradeState.Pending
  }

  /** Starts to read the socket, unless the answer is complete already: a refusal reads on when it has left. */
  watch (): void {
    if (this.#state === UpgradeState.Closed || (this.#state === UpgradeState.Refused && this.writableEnded)) return
    this.#watch = new SocketWatch(this.#socket, this.#takeHead(), () => this.abort())
    this.#watch.start()
    if (this.#state === UpgradeState.Refused) this.#watch.discard()
  }

  /** Says how a 101 is to be completed. Without it a 101 is an error. */
  completeWith (complete: CompleteUpgrade): void {
    this.#complete = complete
  }

  /** The client has gone: aborts the request, which makes Fastify abort `request.signal` and run `onRequestAbort`. */
  abort (): void {
    const state = this.#state
    if (state === UpgradeState.Closed) return
    this.#state = UpgradeState.Closed
    this.#watch?.stop()
    this.req.destroy()
    if (state !== UpgradeState.Refused) this.#owner.handleAnswer(this, 0)
  }

  /** Its time is over. */
  beat (timeout: number): void {
    if (this.#state === UpgradeState.Refused) this.destroy()
    if (this.#state !== UpgradeState.Pending) return
    if (this.admission !== null) {
      this.admission.expire(timeout)
      return
    }
    // What waits is a hook that comes before those of the plugin.
    this.req.emit('close')
    this.refuse()
  }

  /** Takes the socket from a client that has had its time, also one that has not closed its side after a refusal. */
  cutOff (): void {
    this.abort()
    this.#socket.destroy()
  }

  /** Answers 503 without asking anybody, as Fastify does while it closes. */
  refuse (): void {
    if (this.#state !== UpgradeState.Pending) return
    this.writeHead(503, { 'content-type': 'application/json', 'content-length': CLOSING_BODY.length })
    this.end(CLOSING_BODY)
    this.#isOverruled = true
  }

  override writeHead (statusCode: number, reason?: string | HeadersArgument, headers?: HeadersArgument): this {
    if (this.#isOverruled) return this
    const statusMessage = typeof reason === 'string' ? reason : undefined
    const fields = toObject(typeof reason === 'string' ? headers : reason)
    if (this.#state !== UpgradeState.Pending) super.writeHead(statusCode, statusMessage, fields)
    else if (statusCode === 101) this.#writeAccept(fields)
    else this.#writeRefusal(statusCode, statusMessage, fields)
    return this
  }

  override end (...args: unknown[]): this {
    if (this.#isOverruled) return this
    super.end(...args as [])
    if (this.#state === UpgradeState.Accepted) this.#finishAccept()
    return this
  }

  /** The response has left. @internal */
  handleFinish (): void {
    if (this.#state !== UpgradeState.Refused) return
    this.#state = UpgradeState.Closed
    this.#watch?.stop()
    lingeringClose(this.#socket)
  }

  /** The socket is gone, or is the WebSocket's. @internal */
  handleClose (): void {
    this.abort()
    this.#owner.handleEnd(this)
  }

  #writeAccept (fields: OutgoingHttpHeaders): void {
    if (this.#complete === null) throw FST_ERR_WS_UNEXPECTED_101()
    this.#headerLines = toHeaderLines({ ...this.getHeaders(), ...fields })
    // What Node makes of the head is never sent: ws writes the 101. It is written here to keep `headersSent` and its like true.
    super.writeHead(101)
    this.#state = UpgradeState.Accepted
    this.detachSocket(this.#socket)
  }

  #finishAccept (): void {
    this.#state = UpgradeState.Closed
    const complete = this.#complete
    this.#complete = null
    const early = this.#watch === null ? this.#takeHead() : this.#watch.stop()
    const isOpen = complete !== null && complete(this.#socket, early, this.#headerLines)
    // Node emits both for a response that it has sent; Fastify runs `onResponse` on the first.
    if (isOpen) this.emit('finish')
    else this.req.destroy()
    this.#owner.handleAnswer(this, isOpen ? 101 : 0)
    this.emit('close')
  }

  #writeRefusal (statusCode: number, statusMessage: string | undefined, headers: OutgoingHttpHeaders): void {
    const fields: OutgoingHttpHeaders = {}
    let namesUpgrade = this.hasHeader('upgrade')
    for (const name of Object.keys(headers)) {
      const lowerCaseName = name.toLowerCase()
      if (lowerCaseName !== 'connection') fields[name] = headers[name]
      if (lowerCaseName === 'upgrade') namesUpgrade = true
    }
    // RFC 9110 section 7.8: who sends Upgrade must name it in Connection.
    // Not by setHeader(): what that sets would stay when writeHead() throws, and mix with the error's own answer.
    fields.connection = namesUpgrade ? 'close, Upgrade' : 'close'
    if (statusCode === 503 && this.#owner.isClosing && !this.hasHeader('retry-after')) fields['retry-after'] = RETRY_AFTER
    super.writeHead(statusCode, statusMessage, fields)
    this.#state = UpgradeState.Refused
    this.#watch?.discard()
    this.#owner.handleAnswer(this, statusCode)
  }

  #takeHead (): Buffer {
    const head = this.#head
    this.#head = NOTHING
    return head
  }
}

function responseOnFinish (this: UpgradeResponse): void {
  this.handleFinish()
}

function responseOnClose (this: UpgradeResponse): void {
  this.handleClose()
}

type HeadersArgument = OutgoingHttpHeaders | OutgoingHttpHeader[] | undefined

function toObject (headers: HeadersArgument): OutgoingHttpHeaders {
  if (!Array.isArray(headers)) return { ...headers }
  const object: Record<string, string[]> = {}
  for (let i = 0; i < headers.length; i += 2) (object[String(headers[i])] ??= []).push(String(headers[i + 1]))
  return object
}

function toHeaderLines (headers: OutgoingHttpHeaders): string[] {
  const lines: string[] = []
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || NOT_ON_101.has(name.toLowerCase())) continue
    validateHeaderName(name)
    for (const item of Array.isArray(value) ? value : [value]) {
      const line = String(item)
      validateHeaderValue(name, line)
      lines.push(`${name}: ${line}`)
    }
  }
  return lines
}
