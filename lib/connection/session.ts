// The life of an open connection, from the 101 to onClose: what it is told, and who is told of it.
import type { AsyncResource } from 'node:async_hooks'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { closeChannel } from '../channels.ts'
import { CloseCode, protocolCloseCode } from '../close-codes.ts'
import { FrameScanner } from '../receive/frame-scanner.ts'
import type { IncomingOwner } from '../receive/incoming-owner.ts'
import { Incoming } from '../receive/incoming.ts'
import type { FramedMessage } from '../send/framed-message.ts'
import { Outgoing, type OutgoingOwner } from '../send/outgoing.ts'
import { kSession } from '../symbols.ts'
import { readFacts } from '../thrown.ts'
import { now } from '../timers.ts'
import type { Subscriber } from '../topics/pub-sub.ts'
import { checkClose, toText } from './closing.ts'
import type { ConnectionRoute, Reservation, Transport } from './connection-route.ts'
import type { Connection } from './connection.ts'
import type { Peer } from './heartbeat.ts'
import { Lifecycle } from './lifecycle.ts'
import { Liveness, type LivenessOwner } from './liveness.ts'

// The connection overrides these, and its overrides lead here.
const { close, ping, terminate } = WebSocket.prototype

declare module 'node:stream' {
  interface Duplex { [kSession]?: Session }
}

export class Session extends Lifecycle implements IncomingOwner, OutgoingOwner, LivenessOwner, Peer, Subscriber {
  readonly incoming: Incoming
  readonly outgoing: Outgoing
  readonly #socket: Socket
  readonly #bytesAtOpen: number
  readonly #openedAt = Math.floor(now()) // other numbers are objects of their own (bench/memory.ts)
  #frames: FrameScanner | null // until the first chunk
  #liveness: Liveness | null = null // until the first beat
  /** What onHandshake has returned. */
  data: object | undefined = undefined
  /** What it counts for among the limits. */
  reservation: Reservation | null = null
  // For the heartbeat.
  lanePlace = 0
  dueAt = 0

  constructor (connection: Connection, route: ConnectionRoute, scope: AsyncResource, { socket, paced, deflate }: Transport) {
    super(connection, route, scope)
    this.#socket = socket
    this.#bytesAtOpen = socket.bytesRead
    const stream = paced ?? socket
    stream[kSession] = this
    this.#frames = paced === null ? null : paced.frames
    // Before ws, which acts on a close frame.
    if (paced === null) stream.prependListener('data', streamOnData)
    else socket.on('close', () => this.closing.abort())
    this.incoming = new Incoming(this, paced)
    this.outgoing = new Outgoing(this, stream, deflate)
  }

  async drained (): Promise<void> {
    if (this.readyState !== WebSocket.OPEN) throw this.closing.error
    await this.outgoing.drained()
  }

  get readyState (): number {
    return this.connection.readyState
  }

  /** Sends a message that goes to many. What was published before is not looked at. */
  deliver (message: FramedMessage): void {
    this.outgoing.sendFramed(message)
  }

  get topics (): readonly string[] {
    return this.hasGone ? this.closing.topics : this.route.pubSub.topicsOf(this)
  }

  get latency (): number | undefined {
    return this.#liveness?.latency
  }

  get signal (): AbortSignal {
    const { closing } = this
    const { signal } = closing
    // A stream in front of it may have something to read yet.
    if (this.#socket.destroyed) closing.abort()
    return signal
  }

  beat (interval: number): void {
    if (this.readyState !== WebSocket.OPEN) return
    this.#liveness ??= new Liveness(this, this.#socket, this.#bytesAtOpen)
    this.#liveness.beat(interval)
  }

  protected isOfPeer (error: unknown): boolean {
    return error !== null && error === this.closing.peerError
  }

  // ---- the end ----------------------------------------------------------------------------------------------------------

  /** A chunk of what the peer sends, before ws has it. */
  handleChunk (chunk: Buffer): void {
    const frames = this.#frames ??= new FrameScanner()
    for (let at = 0; at < chunk.length;) at = frames.scan(chunk, at)
  }

  /** A message, a ping or a pong of the peer has been dealt with. */
  noteHandled (): void {
    this.#frames?.noteHandled()
  }

  /** Something is about to be sent, the first time. A connection that only listens is spared it (bench/memory.ts). */
  handleFirstSend (): void {
    // Before ws, which ends the stream: what is gathered has to be in it.
    this.stream.prependListener('end', streamOnEnd)
  }

  /** The peer has ended its side, and ws is about to end this one, behind what waits to be sent. */
  handleHalfClose (): void {
    this.outgoing.flush()
    // Without a close frame ws sets no time for it, and the peer may not read any more.
    if (this.readyState === WebSocket.OPEN && this.outgoing.stream.writableLength > 0) this.#socket.setTimeout(this.route.options.closeTimeout, () => this.handleLoss())
  }

  /** A user closes the connection, or ws does: for the peer's close frame, or because the peer has broken the protocol. */
  close (code: number | undefined, reason: string | Buffer | undefined): void {
    const isAnswer = this.#frames?.takeClose() === true
    const isOpen = this.readyState === WebSocket.OPEN
    if (isOpen) checkClose(code, reason)
    if (isAnswer) this.incoming.stop()
    // Closing, and undecided: ws reads what the socket has left behind, and may find a close frame there.
    else if (isOpen || this.closing.hasBegun) this.incoming.mute(true)
    if (!isOpen) {
      close.call(this.connection)
      return
    }
    this.closing.begin({ code: code ?? CloseCode.NoStatusReceived, reason: toText(reason), initiator: isAnswer ? 'peer' : 'server' })
    this.outgoing.writeGathered()
    close.call(this.connection, code, reason)
    this.incoming.openForClose()
  }

  terminate (initiator: 'server' | 'network'): void {
    if (initiator === 'server') this.incoming.mute(true)
    if (this.hasGone) return
    this.closing.begin({ code: CloseCode.AbnormalClosure, reason: '', initiator })
    this.outgoing.flush()
    terminate.call(this.connection)
  }

  callOnMessage (message: unknown): unknown {
    return this.route.callbacks.callOnMessage(this, message)
  }

  handlePong (data: Buffer): void {
    this.incoming.countEvent()
    this.#liveness?.handlePong(data)
  }

  /** An 'error' event: ws has closed the connection, or the application has emitted it. */
  handleError (error: object): void {
    // ws closes first.
    const closeCode = this.readyState === WebSocket.OPEN ? undefined : protocolCloseCode(readFacts(error))
    if (closeCode !== undefined) {
      const { closing } = this
      closing.peerError = Object.assign(error, { closeCode })
      // What came before it is for onMessage, unless it was this side that had closed.
      if (closing.result.code === closeCode) this.incoming.mute(false)
      // A close frame may be what is wrong.
      if (closing.result.initiator !== 'server') closing.correct({ code: closeCode, reason: '', initiator: 'server' })
      this.incoming.stop()
    }
    this.fail(error)
  }

  /** The socket is gone. The listeners for 'close' are told after this, and `onClose` after them. */
  handleGone (code: number, reason: Buffer): void {
    const { closing } = this
    closing.topics = this.topics
    this.noteGone()
    // A callback may have closed it when the close frame of the peer had come, and ws had not dealt with it yet.
    if (closing.result.initiator === 'peer' && code !== CloseCode.AbnormalClosure) closing.correct({ code, reason: toText(reason), initiator: 'peer' })
    closing.begin()
    const { closing: { result }, route: { url: route } } = this
    this.outgoing.end(() => closing.error)
    const duration = now() - this.#openedAt
    this.route.handleGone(this, result.code)
    const { id: connId, log } = this.connection
    const { incoming: { received }, outgoing: { sent } } = this
    const level = this.route.options.logLevels.closed
    if (level !== 'silent') log[level]({ connId, route, ...result, duration, received, sent }, 'WebSocket closed')
    if (closeChannel.hasSubscribers) closeChannel.publish({ connection: this.connection, route, ...result, duration })
  }

  // ---- for incoming, outgoing and liveness ------------------------------------------------------------------------------

  get stream (): Duplex {
    return this.outgoing.stream
  }

  get isCongested (): boolean {
    return this.outgoing.isCongested
  }

  get isDeaf (): boolean {
    return this.incoming.isShut
  }

  setCongested (isCongested: boolean): void {
    if (!isCongested) this.#liveness?.relieve()
    this.incoming.setCongested(isCongested)
  }

  handleSlowConsumer (error: Error): void {
    this.terminate('server')
    this.fail(error)
  }

  handleDiscarded (): void {
    const { id: connId, log } = this.connection
    log.debug({ connId }, 'A WebSocket message is discarded: there is no onMessage, no listener for "message" and no iteration')
  }

  sendPing (data: Buffer): void {
    this.outgoing.writeGathered()
    ping.call(this.connection, data, false)
  }

  sendPong (data: Buffer): void {
    this.outgoing.cork()
    this.outgoing.sendControl('pong', data, false, undefined)
  }

  handleLoss (): void {
    this.terminate('network')
  }
}

function streamOnData (this: Duplex, chunk: Buffer): void {
  this[kSession]?.handleChunk(chunk)
}

function streamOnEnd (this: Duplex): void {
  this[kSession]?.handleHalfClose()
}
