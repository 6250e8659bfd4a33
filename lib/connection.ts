import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { WebSocket } from 'ws'
import { FST_ERR_WS_HANDSHAKE_SETTLED, FST_ERR_WS_NOT_OPEN } from './errors.ts'

/** What a connection needs of the handshake that it is in. */
export interface ConnectionHandshake {
  accept (options: unknown): void
  reject (options: unknown): void
  drop (): void
  readonly isOver: boolean
}

let lastId = 0

/** A WebSocket of `ws`, from the first moment of its handshake on. */
export class Connection extends WebSocket {
  readonly id: number = ++lastId
  readonly request: FastifyRequest
  readonly offeredProtocols: readonly string[]
  #handshake: ConnectionHandshake | null
  #isHeld = false
  #isPausedByUser = false

  constructor (request: FastifyRequest, handshake: ConnectionHandshake, offeredProtocols: readonly string[], closeTimeout: number) {
    // ws documents no way to make a server's WebSocket but its own; @types/ws knows the address `null`, not the rest.
    super(null as unknown as string, undefined, { autoPong: true, maxPendingAutoPongs: 60, closeTimeout } as object)
    this.request = request
    this.#handshake = handshake
    this.offeredProtocols = offeredProtocols
    this.on('error', connectionOnError)
  }

  get log (): FastifyBaseLogger {
    return this.request.log
  }

  acceptWith (options?: unknown): void {
    if (this.#handshake === null) throw FST_ERR_WS_HANDSHAKE_SETTLED('acceptWith', 'accepted')
    this.#handshake.accept(options)
  }

  reject (options?: unknown): void {
    if (this.#handshake === null) throw FST_ERR_WS_HANDSHAKE_SETTLED('reject', 'accepted')
    this.#handshake.reject(options)
  }

  override close (code?: number, reason?: string | Buffer): void {
    if (this.#handshake === null) {
      super.close(code, reason)
      // The peer's answer has to be read.
      this.release()
    } else if (!this.#handshake.isOver) {
      throw FST_ERR_WS_NOT_OPEN()
    }
  }

  override terminate (): void {
    if (this.#handshake === null) super.terminate()
    else this.#handshake.drop()
  }

  override pause (): void {
    this.#isPausedByUser = true
    super.pause()
  }

  override resume (): void {
    this.#isPausedByUser = false
    if (!this.#isHeld) super.resume()
  }

  /** The handshake is over: lets go of it, and reads nothing until {@link release}, so that no message is lost. @internal */
  hold (): void {
    this.#handshake = null
    this.#isHeld = true
    this.on('newListener', connectionOnNewListener)
    super.pause()
  }

  /** Lets the messages come, unless the user has paused the connection. @internal */
  release (): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.off('newListener', connectionOnNewListener)
    if (!this.#isPausedByUser) super.resume()
  }
}

function connectionOnNewListener (this: WebSocket, event: string | symbol): void {
  if (event === 'message') (this as Connection).release()
}

// Without a listener an 'error' event would end the process. ws has closed the socket, or does so next.
function connectionOnError (this: WebSocket, error: Error): void {
  (this as Connection).log.debug({ err: error, connId: (this as Connection).id }, 'WebSocket error')
}
