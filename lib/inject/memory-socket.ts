// Two ends of a connection in memory. Each has as much of a net.Socket as http, Fastify and ws ask for: addresses, counters,
// the timeout, and that it notices the end of the other one.
import { Duplex } from 'node:stream'
import { clearTimeout, setImmediate, setTimeout } from '../timers.ts'

type Callback = (error?: Error | null) => void

export class MemorySocket extends Duplex {
  readonly remoteAddress: string
  readonly remotePort = 50_000
  readonly remoteFamily: 'IPv4' | 'IPv6'
  readonly localAddress = '127.0.0.1'
  readonly localPort: number
  /** As a TLS socket has it. */
  readonly encrypted: boolean
  bytesRead = 0
  bytesWritten = 0
  readonly #peer: MemorySocket
  #handleTaken: (() => void) | null = null // the peer waits until this end has room
  #isReset = false
  #timeout = 0
  #timer: NodeJS.Timeout | undefined = undefined

  private constructor (remoteAddress: string, isTls: boolean, peer?: MemorySocket) {
    super({ allowHalfOpen: true })
    this.remoteAddress = remoteAddress
    this.remoteFamily = remoteAddress.includes(':') ? 'IPv6' : 'IPv4'
    this.localPort = isTls ? 443 : 80
    this.encrypted = isTls
    this.#peer = peer ?? new MemorySocket(remoteAddress, isTls, this)
  }

  /** The server's end, and the client's; both have the addresses as the server sees them. */
  static pair (remoteAddress: string, isTls: boolean): [server: MemorySocket, client: MemorySocket] {
    const server = new MemorySocket(remoteAddress, isTls)
    return [server, server.#peer]
  }

  /** As net.Socket has it: emits 'timeout' when nothing has moved for so many milliseconds. */
  setTimeout (timeout: number, callback?: () => void): this {
    this.#timeout = timeout
    if (callback !== undefined) this[timeout > 0 ? 'once' : 'off']('timeout', callback)
    this.#touch()
    return this
  }

  setNoDelay (): this {
    return this
  }

  setKeepAlive (): this {
    return this
  }

  // It has no handle of the system: it never keeps the process alive.
  ref (): this {
    return this
  }

  unref (): this {
    return this
  }

  address (): { address: string, port: number, family: string } {
    return { address: this.localAddress, port: this.localPort, family: 'IPv4' }
  }

  /** As tls.TLSSocket has it for a peer that has shown none. */
  getPeerCertificate (): object {
    return {}
  }

  resetAndDestroy (): this {
    this.#isReset = true
    return this.destroy()
  }

  destroySoon (): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', this.destroy)
  }

  override _read (): void {
    const handleTaken = this.#handleTaken
    this.#handleTaken = null
    handleTaken?.()
  }

  override _write (chunk: Buffer, _encoding: string, callback: Callback): void {
    this.bytesWritten += chunk.length
    this.#touch()
    // Not within the call: on a network it is not either.
    const peer = this.#peer
    setImmediate(() => {
      if (peer.destroyed) callback(reset())
      else peer.#receive(chunk, callback)
    })
  }

  override _final (callback: Callback): void {
    setImmediate(() => {
      if (!this.#peer.destroyed) this.#peer.push(null)
      callback()
    })
  }

  override _destroy (error: Error | null, callback: Callback): void {
    clearTimeout(this.#timer)
    this.#handleTaken?.()
    this.#handleTaken = null
    // If it has ended before, the other end has seen that. Otherwise it is a reset.
    if (this.#isReset || !this.writableFinished) setImmediate(() => this.#peer.destroy(reset()))
    callback(error)
  }

  #receive (chunk: Buffer, callback: Callback): void {
    this.bytesRead += chunk.length
    this.#touch()
    if (this.push(chunk)) callback()
    else this.#handleTaken = callback
  }

  #touch (): void {
    clearTimeout(this.#timer)
    if (this.#timeout > 0 && !this.destroyed) this.#timer = setTimeout(() => this.emit('timeout'), this.#timeout).unref()
  }
}

function reset (): Error {
  return Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
}
