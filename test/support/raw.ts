// A client that can be as wrong as it likes.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Teardown } from './app.ts'

/** The key of RFC 6455 section 1.3, and what the server must answer to it. */
export const SAMPLE_KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
export const SAMPLE_ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

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
  #received = Buffer.alloc(0)

  constructor (socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => { this.#received = Buffer.concat([this.#received, chunk]) })
  }

  static async connect (t: Teardown, port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    t.teardown(() => socket.destroy())
    const client = new RawClient(socket)
    await once(socket, 'connect')
    return client
  }

  get received (): Buffer {
    return this.#received
  }

  write (data: string | Buffer): void {
    this.socket.write(data)
  }

  /** Waits until what was received satisfies a condition; rejects if the server closes before. */
  async until (isEnough: (received: Buffer) => boolean): Promise<Buffer> {
    while (!isEnough(this.#received)) {
      if (this.socket.destroyed || this.socket.readableEnded) {
        throw new Error(`the server closed after ${JSON.stringify(this.#received.toString('latin1').slice(0, 500))}`)
      }
      await Promise.race([once(this.socket, 'data'), once(this.socket, 'end'), once(this.socket, 'close')])
    }
    return this.#received
  }

  /** All that the server sends until it ends its side. */
  async untilEnd (): Promise<Buffer> {
    if (!this.socket.readableEnded && !this.socket.destroyed) {
      await Promise.race([once(this.socket, 'end'), once(this.socket, 'close')])
    }
    return this.#received
  }

  async head (): Promise<RawResponse> {
    return parseHead(await this.until((received) => received.includes('\r\n\r\n')))
  }

  async wholeResponse (): Promise<RawResponse> {
    return parseHead(await this.untilEnd())
  }
}

export function parseHead (received: Buffer): RawResponse {
  const end = received.indexOf('\r\n\r\n')
  const [statusLine = '', ...lines] = received.subarray(0, end).toString('latin1').split('\r\n')
  const fields = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  const rest = received.subarray(end + 4)
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

/** A masked text frame (RFC 6455 section 5.2), as a client sends it; up to 125 bytes. */
export function textFrame (text: string): Buffer {
  const payload = Buffer.from(text)
  const mask = Buffer.from([1, 2, 3, 4])
  const masked = payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, masked])
}
