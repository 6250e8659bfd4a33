// A client that can be as wrong as it likes.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Teardown } from './app.ts'

/** The key of RFC 6455 section 1.3, and what the server must answer to it. */
export const SAMPLE_KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
export const SAMPLE_ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

const HEAD_END = '\r\n\r\n'

export interface RawResponse {
  status: number
  /** The header fields as they came, in order. */
  fields: Array<[name: string, value: string]>
  /** What came after the head. */
  rest: Buffer
  body: string
}

export class RawClient {
  readonly socket: Socket
  #buffer = Buffer.alloc(0)
  #length = 0

  constructor (socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#append(chunk))
  }

  static async connect (t: Teardown, port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    t.teardown(() => socket.destroy())
    const client = new RawClient(socket)
    await once(socket, 'connect')
    return client
  }

  get received (): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  write (data: string | Buffer): void {
    this.socket.write(data)
  }

  /** Waits until what was received satisfies a condition; rejects if the server closes before. */
  async until (isEnough: (received: Buffer) => boolean): Promise<Buffer> {
    while (!isEnough(this.received)) {
      if (this.socket.destroyed || this.socket.readableEnded) {
        throw new Error(`the server closed after ${JSON.stringify(this.received.toString('latin1').slice(0, 500))}`)
      }
      await this.#next('data', 'end', 'close')
    }
    return this.received
  }

  /** All that the server sends until it ends its side. */
  async untilEnd (): Promise<Buffer> {
    if (!this.socket.readableEnded && !this.socket.destroyed) await this.#next('end', 'close')
    return this.received
  }

  /** The frames that have come after the head. */
  get frames (): Frame[] {
    return framesIn(this.received.subarray(this.received.indexOf(HEAD_END) + HEAD_END.length))
  }

  /** Waits for so many frames. */
  async untilFrames (count: number): Promise<Frame[]> {
    await this.until(() => this.frames.length >= count)
    return this.frames
  }

  /** Waits for the close frame, and returns its code and reason. */
  async untilClose (): Promise<{ code: number, reason: string }> {
    const find = (): Frame | undefined => this.frames.find(({ first }) => first === 0x88)
    await this.until(() => find() !== undefined)
    const payload = find()?.payload ?? Buffer.alloc(0)
    return { code: payload.length < 2 ? 1005 : payload.readUInt16BE(), reason: payload.subarray(2).toString() }
  }

  async head (): Promise<RawResponse> {
    return parseHead(await this.until((received) => received.includes(HEAD_END)))
  }

  async wholeResponse (): Promise<RawResponse> {
    return parseHead(await this.untilEnd())
  }

  // What was there is not copied at every chunk: of 16 MiB that would take longer than some time-outs.
  #append (chunk: Buffer): void {
    const length = this.#length + chunk.length
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(length * 2)
      this.#buffer.copy(larger, 0, 0, this.#length)
      this.#buffer = larger
    }
    chunk.copy(this.#buffer, this.#length)
    this.#length = length
  }

  // Unlike once(), it does not reject when the server resets the connection: 'close' follows.
  async #next (...events: string[]): Promise<void> {
    const { socket } = this
    await new Promise<void>((resolve) => {
      const listener = (): void => {
        for (const event of events) socket.off(event, listener)
        resolve()
      }
      for (const event of events) socket.on(event, listener)
    })
  }
}

export function parseHead (received: Buffer): RawResponse {
  const end = received.indexOf(HEAD_END)
  const [statusLine = '', ...lines] = received.subarray(0, end).toString('latin1').split('\r\n')
  const fields = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  const rest = received.subarray(end + HEAD_END.length)
  return { status: Number(statusLine.split(' ')[1]), fields, rest, body: rest.toString() }
}

export function field (response: RawResponse, name: string): string | undefined {
  return response.fields.find(([candidate]) => candidate.toLowerCase() === name.toLowerCase())?.[1]
}

export function count (response: RawResponse, name: string): number {
  return response.fields.filter(([candidate]) => candidate.toLowerCase() === name.toLowerCase()).length
}

/** A handshake as it stands in RFC 6455 section 1.3; `undefined` leaves a header out, a list repeats it. */
export function handshake (path: string, headers: Record<string, string | string[] | undefined> = {}, requestLine = `GET ${path} HTTP/1.1`): string {
  const all: Record<string, string | string[] | undefined> = {
    Host: 'server.example.com',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': SAMPLE_KEY,
    'Sec-WebSocket-Version': '13',
    ...headers
  }
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [value].flat()).map((item) => `${name}: ${item}`))
  return `${requestLine}\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** A masked text frame (RFC 6455 section 5.2), as a client sends it. */
export function textFrame (text: string): Buffer {
  return maskedFrame(0x81, Buffer.from(text))
}

/** A masked frame with any first byte: FIN, RSV and opcode. */
export function maskedFrame (first: number, payload: Buffer): Buffer {
  const mask = Buffer.from([1, 2, 3, 4])
  const masked = payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))
  return Buffer.concat([frameHeader(first, payload.length), mask, masked])
}

/** The header of a masked frame, up to its mask. */
export function frameHeader (first: number, length: number): Buffer {
  if (length < 126) return Buffer.from([first, 0x80 | length])
  const header = Buffer.alloc(length < 65_536 ? 4 : 10)
  header.writeUInt16BE((first << 8) | 0x80 | (header.length === 4 ? 126 : 127))
  if (header.length === 4) header.writeUInt16BE(length, 2)
  else header.writeBigUInt64BE(BigInt(length), 2)
  return header
}

/** A masked close frame (RFC 6455 section 5.5.1). */
export function closeFrame (code: number, reason = ''): Buffer {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason))
  payload.writeUInt16BE(code)
  payload.write(reason, 2)
  return maskedFrame(0x88, payload)
}

export interface Frame {
  /** FIN, RSV and opcode. */
  first: number
  payload: Buffer
}

/** The unmasked frames in what a server has sent; an incomplete one at the end is left out. */
function framesIn (received: Buffer): Frame[] {
  const frames: Frame[] = []
  for (let offset = 0; offset + 2 <= received.length;) {
    const short = (received[offset + 1] ?? 0) & 0x7f
    const start = offset + (short === 126 ? 4 : short === 127 ? 10 : 2)
    if (start > received.length) break
    const length = short === 126 ? received.readUInt16BE(offset + 2) : short === 127 ? Number(received.readBigUInt64BE(offset + 2)) : short
    if (start + length > received.length) break
    frames.push({ first: received[offset] ?? 0, payload: received.subarray(start, start + length) })
    offset = start + length
  }
  return frames
}

/** A raw client whose handshake has been answered by a 101; it ends its side when the server has. */
export async function openRaw (t: Teardown, port: number, path = '/', headers: Record<string, string> = {}): Promise<RawClient> {
  const client = await RawClient.connect(t, port)
  client.write(handshake(path, headers))
  const { status } = await client.head()
  if (status !== 101) throw new Error(`refused with ${status}`)
  client.socket.on('end', () => client.socket.end())
  return client
}
