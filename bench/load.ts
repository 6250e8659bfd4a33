// A load that costs little: frames are made once, and of what comes back only the bytes are counted.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface LoadOptions {
  readonly port: number
  readonly path: string
  /** What is sent, over and over. */
  readonly message: Buffer
  readonly isBinary: boolean
  /** How many bytes come back for each. */
  readonly answerSize: number
  readonly connections: number
  readonly inFlight: number
}

/** Connections that keep `inFlight` messages under way while they run. */
export class Load {
  readonly #frames: Buffer[]
  readonly #frameSize: number
  readonly #options: LoadOptions
  #sockets: Socket[] = []
  #isRunning = false
  #waiting = 0
  #answers = 0
  #handleIdle = (): void => {}

  constructor (options: LoadOptions) {
    const frame = maskedFrame(options.message, options.isBinary)
    this.#frameSize = options.answerSize + headerSize(options.answerSize)
    this.#frames = Array.from({ length: options.inFlight + 1 }, (_, count) => Buffer.concat(Array.from({ length: count }, () => frame)))
    this.#options = options
  }

  async open (): Promise<void> {
    this.#sockets = await Promise.all(Array.from({ length: this.#options.connections }, () => this.#open()))
  }

  /** Runs for so many milliseconds, until the last answer has come; resolves to the number of answers. */
  async run (duration: number): Promise<number> {
    this.#isRunning = true
    this.#answers = 0
    const idle = new Promise<void>((resolve) => { this.#handleIdle = resolve })
    for (const socket of this.#sockets) this.#send(socket, this.#options.inFlight)
    setTimeout(() => { this.#isRunning = false }, duration)
    await idle
    return this.#answers
  }

  close (): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #send (socket: Socket, count: number): void {
    this.#waiting += count
    socket.write(this.#frames[count] ?? Buffer.alloc(0))
  }

  async #open (): Promise<Socket> {
    const { port, path } = this.#options
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n')
    const [head] = await once(socket, 'data') as [Buffer]
    if (!head.toString('latin1').startsWith('HTTP/1.1 101 ')) throw new Error(`refused: ${head.toString('latin1')}`)
    let bytes = 0
    socket.on('data', ({ length }: Buffer) => {
      bytes += length
      const count = Math.floor(bytes / this.#frameSize)
      bytes -= count * this.#frameSize
      this.#answers += count
      this.#waiting -= count
      if (this.#isRunning && count > 0) this.#send(socket, count)
      else if (this.#waiting === 0) this.#handleIdle()
    })
    socket.on('close', () => { if (this.#isRunning) throw new Error('the server has closed a connection') })
    return socket
  }
}

function headerSize (length: number): number {
  if (length < 126) return 2
  return length < 65_536 ? 4 : 10
}

// RFC 6455 section 5.2.
function maskedFrame (payload: Buffer, isBinary: boolean): Buffer {
  const header = Buffer.alloc(headerSize(payload.length))
  header[0] = isBinary ? 0x82 : 0x81
  if (header.length === 2) header[1] = payload.length
  else if (header.length === 4) header.writeUInt16BE(payload.length, 2)
  else header.writeBigUInt64BE(BigInt(payload.length), 2)
  header[1] = [0, 0, payload.length, 0, 126, 0, 0, 0, 0, 0, 127][header.length] as number
  header[1] |= 0x80
  const mask = Buffer.from([0x12, 0x34, 0x56, 0x78])
  return Buffer.concat([header, mask, payload.map((byte, i) => byte ^ (mask[i % 4] as number))])
}
