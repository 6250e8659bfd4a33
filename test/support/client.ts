import { once } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import { type ClientOptions, WebSocket } from 'ws'
import type { Teardown } from './app.ts'

export interface Accepted {
  socket: WebSocket
  status: 101
  headers: IncomingHttpHeaders
  rawHeaders: string[]
}

export interface Refused {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** Connects with the client of ws; resolves when the connection is open, rejects when it is refused. */
export async function connect (t: Teardown, url: string, protocols: string[] = [], options: ClientOptions = {}): Promise<Accepted> {
  const socket = new WebSocket(url, protocols, options)
  t.teardown(() => socket.terminate())
  socket.on('error', () => {})
  const result = await new Promise<Accepted>((resolve, reject) => {
    let upgrade: Omit<Accepted, 'socket' | 'status'> | undefined
    socket.once('upgrade', ({ headers, rawHeaders }) => { upgrade = { headers, rawHeaders } })
    socket.once('open', () => { if (upgrade !== undefined) resolve({ socket, status: 101, ...upgrade }) })
    socket.once('error', reject)
  })
  return result
}

/** Connects with the client of ws to a handshake that is refused; resolves to the whole response. */
export async function connectRefused (t: Teardown, url: string, protocols: string[] = [], options: ClientOptions = {}): Promise<Refused> {
  const socket = new WebSocket(url, protocols, options)
  t.teardown(() => socket.terminate())
  socket.on('error', () => {})
  return await new Promise<Refused>((resolve, reject) => {
    socket.once('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }))
      response.on('error', reject)
    })
    socket.once('open', () => reject(new Error(`${url} was accepted`)))
  })
}

/** The next message, as a string. */
export async function nextMessage (socket: WebSocket): Promise<string> {
  const [data] = await once(socket, 'message') as [Buffer]
  return data.toString()
}

/** The close code, when the connection has closed. */
export async function closed (socket: WebSocket): Promise<number> {
  if (socket.readyState === WebSocket.CLOSED) throw new Error('the socket had closed before')
  const [code] = await once(socket, 'close') as [number]
  return code
}
