// The response to an upgrade request. Fastify writes to it as to any other; what becomes of it depends on the status:
//
//                     writeHead(101) ──→ Accepted ── end() ──→ Closed   the WebSocket has the socket
//   Pending ─────────┤
//      │              writeHead(nnn) ──→ Refused ── finish ──→ Closed   an HTTP response, then a lingering close
//      └── client left ───────────────────────────────────→ Closed   the request is aborted
//
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import type { Reservation } from '../connection/connection-route.ts'
import { FST_ERR_WS_UNEXPECTED_101 } from '../errors.ts'
import { createResponse, forwardDrain, ofResponse, takeSocket } from '../seams/node-response.ts'
import { abortSignals } from '../seams/request-signal.ts'
import { setImmediate } from '../timers.ts'
import { SocketWatch } from './client-watch.ts'
import { limitSending, lingeringClose } from './lingering-close.ts'
import { errorBody, RETRY_AFTER, UNAVAILABLE } from './plain-http.ts'
import { bindResponse } from './response-binding.ts'
import { acceptLines, type HeadersArgument, refusalFields, toObject } from './response-headers.ts'
import type { CompleteUpgrade, UpgradeAdmission, UpgradeOwner } from './upgrade-owner.ts'

const UpgradeState = {
  Pending: 'pending',
  Accepted: 'accepted',
  Refused: 'refused',
  Closed: 'closed'
} as const
type State = typeof UpgradeState[keyof typeof UpgradeState]

let lastNumber = 0

export class UpgradeResponse {
  readonly number: number = ++lastNumber
  lanePlace = 0
  dueAt = 0
  /** Set when it is a handshake on a route of ours. */
  admission: UpgradeAdmission | null = null
  /** That of the request, as soon as there is one. */
  log: FastifyBaseLogger | null = null
  /** Milliseconds until it is ended for having no answer. */
  timeout: number | false = false
  /** When it had to wait first, and how much of that time is left to it. */
  waitsSince = 0
  timeLeft: number | false = false
  /** It has been answered here: what the reply goes on to write is dropped. */
  isOverruled = false
  readonly raw: ServerResponse
  readonly #owner: UpgradeOwner
  readonly #socket: Socket
  // For as long as no route has said another.
  readonly #defaultTimeout: number | false
  #head: Buffer
  #watch: SocketWatch | null = null
  #state: State = UpgradeState.Pending
  #place: Reservation | null = null
  #hasTurn = true
  #complete: CompleteUpgrade | null = null
  #headerLines: readonly string[] = []

  constructor (request: IncomingMessage, socket: Socket, head: Buffer, owner: UpgradeOwner, defaultTimeout: number | false) {
    this.#owner = owner
    this.#socket = socket
    this.#head = head
    this.#defaultTimeout = defaultTimeout
    const raw = createResponse(request)
    this.raw = raw
    bindResponse(raw, this)
  }

  get isPending (): boolean {
    return this.#state === UpgradeState.Pending
  }

  /** Whether a 101 is on its way, which something has held up. */
  get isAccepted (): boolean {
    return this.#state === UpgradeState.Accepted
  }

  /** Earlier answers come first. It has a place until it has its turn, or is decided; without one it is refused now, and told later. */
  wait (place: Reservation | null): void {
    this.#hasTurn = false
    this.#place = place
    if (place === null) this.refuse()
    else this.#owner.limit(this, this.#defaultTimeout)
  }

  /** It has the socket. `head` is what has come since the request. */
  handleTurn (head: Buffer): void {
    if (this.#hasTurn) return
    this.#hasTurn = true
    this.#head = head
    this.#place?.release()
    this.#owner.limit(this, false)
    if (this.#state === UpgradeState.Refused) limitSending(this.#socket, this.#defaultTimeout)
  }

  /** Starts to read the socket, unless the answer is complete already: a refusal reads on when it has left. */
  watch (): void {
    if (this.#state === UpgradeState.Closed || (this.#state === UpgradeState.Refused && this.raw.writableEnded)) return
    this.#watch = new SocketWatch(this.#socket, this.#head, () => this.abort())
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
    this.raw.req.destroy()
    if (state !== UpgradeState.Refused) this.#answer(0)
  }

  /** Its time is over. */
  beat (): void {
    if (this.#state === UpgradeState.Accepted) this.cutOff()
    if (this.#state !== UpgradeState.Pending) return
    // Without one, what waits is a hook that comes before those of the plugin.
    if (this.admission === null) this.refuse()
    else {
      this.admission.expire()
      // The time is over for the error handler and `onSend`, too, if they wait for anything.
      setImmediate(() => this.refuse())
    }
  }

  /** Takes the socket from a client that has had its time, also one that has not closed its side after a refusal. */
  cutOff (): void {
    this.abort()
    this.#socket.destroy()
  }

  /** Answers 503 without asking anybody, as Fastify does while it closes. */
  refuse (): void {
    if (this.#state !== UpgradeState.Pending) return
    this.#overrule(503, UNAVAILABLE, { 'retry-after': RETRY_AFTER })
    if (this.admission === null) abortSignals(this.raw.req)
    else this.admission.abort()
  }

  /** @internal */
  writeHead (statusCode: number, reason?: string | HeadersArgument, headers?: HeadersArgument): void {
    if (this.isOverruled) return
    const statusMessage = typeof reason === 'string' ? reason : undefined
    const fields = toObject(typeof reason === 'string' ? headers : reason)
    if (this.#state !== UpgradeState.Pending) this.#writeHead(statusCode, statusMessage, fields)
    else if (statusCode !== 101) this.#writeRefusal(statusCode, statusMessage, fields)
    else if (this.#complete === null) this.#refuseUnexpected()
    else this.#writeAccept(fields)
  }

  /** @internal */
  end (args: unknown[]): void {
    if (this.isOverruled) return
    const isAccepted = this.#state === UpgradeState.Accepted
    if (isAccepted) takeSocket(this.raw, this.#socket)
    ofResponse.end.apply(this.raw, args)
    if (isAccepted) this.#finishAccept()
  }

  /** The response has left. @internal */
  handleFinish (): void {
    if (this.#state === UpgradeState.Closed) return
    // By a writeHead() that is not the one it has.
    if (this.#state === UpgradeState.Pending) this.#answer(this.raw.statusCode)
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
    this.#headerLines = acceptLines({ ...this.raw.getHeaders(), ...fields })
    // What Node makes of the head is never sent: ws writes the 101. It is written here to keep `headersSent` and its like true.
    this.#writeHead(101, undefined, {})
    this.#state = UpgradeState.Accepted
  }

  // A 101 that no route of ours has sent. Not thrown: nobody need be there to catch what a reply throws when a hook has waited.
  #refuseUnexpected (): void {
    const err = FST_ERR_WS_UNEXPECTED_101()
    this.admission?.noteError(err)
    this.log?.error({ err }, err.message)
    this.#overrule(500, errorBody(err))
  }

  #overrule (statusCode: number, body: string, headers: OutgoingHttpHeaders = {}): void {
    this.writeHead(statusCode, { 'content-type': 'application/json', 'content-length': body.length, ...headers })
    ofResponse.end.call(this.raw, body)
    this.isOverruled = true
  }

  #finishAccept (): void {
    this.#state = UpgradeState.Closed
    const complete = this.#complete
    this.#complete = null
    const early = this.#watch === null ? this.#head : this.#watch.stop()
    const isOpen = complete !== null && complete(this.#socket, early, this.#headerLines)
    // Node emits both for a response that it has sent; Fastify runs `onResponse` on the first.
    if (isOpen) this.raw.emit('finish')
    else this.raw.req.destroy()
    this.#answer(isOpen ? 101 : 0)
    this.raw.emit('close')
  }

  #writeRefusal (statusCode: number, statusMessage: string | undefined, headers: OutgoingHttpHeaders): void {
    // Not by setHeader(): what that sets would stay when writeHead() throws, and mix with the error's own answer.
    const fields = refusalFields(statusCode, headers, (name) => this.raw.hasHeader(name))
    if (statusCode === 503 && this.#owner.isClosing && !this.raw.hasHeader('retry-after')) fields['retry-after'] = RETRY_AFTER
    this.#writeHead(statusCode, statusMessage, fields)
    this.#state = UpgradeState.Refused
    forwardDrain(this.#socket, [this.raw])
    this.#watch?.discard()
    this.#answer(statusCode)
    if (this.#hasTurn) limitSending(this.#socket, this.timeout || this.#defaultTimeout)
  }

  #writeHead (statusCode: number, statusMessage: string | undefined, fields: OutgoingHttpHeaders): void {
    try {
      ofResponse.writeHead.call(this.raw, statusCode, statusMessage, fields)
    } catch (error) {
      // Fastify before 5.12.8 answers again when the client leaves half-way, and nobody catches that the head is written already.
      if (!this.raw.req.destroyed) throw error
    }
  }

  #answer (statusCode: number): void {
    this.#place?.release()
    this.#owner.handleAnswer(this, statusCode)
  }
}
