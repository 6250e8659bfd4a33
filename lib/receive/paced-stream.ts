// Between a socket and ws, where messages may be compressed: a chunk of 64 KiB may hold 64 MiB of them, and ws inflates all
// that it has been given. This gives it one message at a time, the next one when there is room for it; also when the socket has
// failed meanwhile: what was read is handed on, for a bounded time.
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { clearTimeout, setTimeout } from '../timers.ts'
import { FrameScanner } from './frame-scanner.ts'

type Callback = (error?: Error | null) => void

const EMPTY = Buffer.alloc(0)

// It is what ws has as its socket, and public code asks of that what a net.Socket has.
const METHODS = ['address', 'getPeerCertificate', 'getProtocol', 'ref', 'resetAndDestroy', 'setKeepAlive', 'setNoDelay', 'setTimeout', 'unref'] as const
const PROPERTIES = [
  'authorized', 'bytesRead', 'bytesWritten', 'encrypted', 'localAddress', 'localFamily', 'localPort', 'remoteAddress', 'remoteFamily',
  'remotePort', 'timeout'
] as const

export class PacedStream extends Duplex {
  readonly frames = new FrameScanner()
  readonly #socket: Socket
  readonly #timeout: number
  #rest: Buffer
  #isHolding = false // a whole message was passed on
  #isReceived = false // and ws has told of it
  #isFull = false
  #isAdvancing = false
  #isFree = false
  #hasEnded = false
  #timer: NodeJS.Timeout | undefined = undefined // from when the socket has closed

  static {
    for (const name of METHODS) {
      Object.defineProperty(this.prototype, name, {
        value (this: PacedStream, ...args: unknown[]): unknown {
          const socket = this.#socket as unknown as Record<string, ((...args: unknown[]) => unknown) | undefined>
          const result = socket[name]?.(...args)
          return result === socket ? this : result
        }
      })
    }
    for (const name of PROPERTIES) {
      Object.defineProperty(this.prototype, name, { get (this: PacedStream) { return Reflect.get(this.#socket, name) } })
    }
  }

  /** `timeout`: for so many milliseconds after the end of the socket what it had read is still handed on. */
  constructor (socket: Socket, head: Buffer, timeout: number) {
    super()
    this.#socket = socket
    this.#timeout = timeout
    this.#rest = head
    socket.on('data', this.#handleData)
    socket.on('end', this.#handleEnd)
    socket.on('close', this.#handleClose)
    socket.on('timeout', () => this.emit('timeout'))
  }

  /** ws has told of a message. */
  noteReceived (): void {
    this.#isReceived = true
  }

  /** There is room for the next message: passes it on, if the one before it has been received. */
  next (): void {
    if (!this.#isReceived && !this.#isFree) return
    this.#isReceived = this.#isHolding = false
    this.#advance()
  }

  /** Nobody waits for messages any more: from now on all is passed on as it comes. */
  free (): void {
    this.#isFree = true
    this.next()
  }

  override _read (): void {
    this.#isFull = false
    this.#advance()
  }

  override _write (chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#socket.write(chunk, callIfFine(callback))
  }

  override _writev (chunks: Array<{ chunk: Buffer }>, callback: Callback): void {
    this.#socket.cork()
    for (const [i, { chunk }] of chunks.entries()) {
      if (i === chunks.length - 1) this._write(chunk, 'binary', callback)
      else this.#socket.write(chunk)
    }
    this.#socket.uncork()
  }

  override _final (callback: Callback): void {
    this.#socket.end(callIfFine(callback))
  }

  override _destroy (error: Error | null, callback: Callback): void {
    clearTimeout(this.#timer)
    this.#rest = EMPTY
    this.#socket.destroy()
    callback(error)
  }

  readonly #handleData = (chunk: Buffer): void => {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    this.#advance()
  }

  readonly #handleEnd = (): void => {
    this.#hasEnded = true
    this.#advance()
  }

  readonly #handleClose = (): void => {
    if (this.destroyed) return
    this.#timer = setTimeout(() => this.destroy(), this.#timeout)
    this.#advance()
  }

  // What is pushed may be delivered at once, and ask for the next.
  #advance (): void {
    if (this.#isAdvancing) return
    this.#isAdvancing = true
    while (this.#rest.length > 0 && !this.#isHolding && !this.#isFull) {
      const end = this.#isFree ? this.#rest.length : this.frames.scan(this.#rest, 0)
      const part = this.#rest.subarray(0, end)
      this.#rest = this.#rest.subarray(end)
      this.#isHolding = !this.#isFree && this.frames.isAtMessageEnd
      if (!this.push(part)) this.#isFull = true
    }
    this.#isAdvancing = false
    if (this.#rest.length > 0) this.#socket.pause()
    else if (this.#timer !== undefined && !this.#isHolding) this.destroy()
    else if (this.#hasEnded) this.push(null)
    else if (!this.#isFull) this.#socket.resume()
  }
}

// Node destroys a stream that fails to write, and with it what it has read. That the socket has failed is told by its 'close'.
function callIfFine (callback: Callback): Callback {
  return (error) => { if (error == null) callback() }
}
