// The same deeds on a socket of a bare ws server and on a connection of this plugin, with the same client, and what was seen.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { inspect, types } from 'node:util'
import { type ServerOptions, WebSocket, WebSocketServer } from 'ws'
import type { WebSocketRouteOptions } from '../../index.ts'
import { startApp, type Teardown } from '../support/app.ts'
import { deferred } from '../support/deferred.ts'
import { closeFrame, openRaw, type RawClient } from '../support/raw.ts'

/** Notes what is seen, in order. */
export type Note = (...values: unknown[]) => void

export interface Scene {
  /** What the server does with a socket, when it is open. */
  server: (socket: WebSocket, note: Note) => unknown
  /** What the client does; without it the client closes. The frames that it has got are noted when the connection is closed. */
  client?: (client: RawClient, note: Note) => unknown
  /** Of ws and of the plugin alike. */
  options?: Pick<ServerOptions, 'maxPayload' | 'perMessageDeflate' | 'skipUTF8Validation' | 'maxFragments'> & { closeTimeout?: number }
  protocol?: string
  /** Headers of the handshake. */
  headers?: Record<string, string>
}

export interface Sight { server: string[], client: string[] }

// A scene comes to its end on either side. One that does not fails by then.
const DEADLINE = 60_000

const OPTIONS = { maxPayload: 1024 * 1024, perMessageDeflate: false, closeTimeout: DEADLINE }

/** What was seen on a bare ws server, and on a route of the plugin. */
export async function playBoth (t: Teardown, scene: Scene): Promise<[ws: Sight, ours: Sight]> {
  return await Promise.all([play(t, scene, startWs), play(t, scene, startOurs)])
}

type Start = (t: Teardown, scene: Scene, handle: (socket: WebSocket) => Promise<void>) => Promise<number>

async function startWs (t: Teardown, { options, protocol }: Scene, handle: (socket: WebSocket) => Promise<void>): Promise<number> {
  const server = createServer()
  const wss = new WebSocketServer({ server, clientTracking: false, ...OPTIONS, ...options, handleProtocols: () => protocol ?? false } as ServerOptions)
  wss.on('connection', (socket) => { void handle(socket) })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => { wss.close(); server.closeAllConnections(); server.close() })
  return (server.address() as AddressInfo).port
}

async function startOurs (t: Teardown, { options, protocol }: Scene, handle: (socket: WebSocket) => Promise<void>): Promise<number> {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      ...OPTIONS,
      ...options,
      origin: true,
      heartbeat: false,
      protocols: protocol === undefined ? [] : [protocol],
      // ws does not wait for who listens to 'connection'.
      onConnection (conn) { void handle(conn) },
      onError () {}
    } as WebSocketRouteOptions)
  })
  return port
}

async function play (t: Teardown, scene: Scene, start: Start): Promise<Sight> {
  const sight: Sight = { server: [], client: [] }
  const noteTo = (lines: string[]): Note => (...values) => { lines.push(values.map(describe).join(' ')) }
  const [note, noteOfClient] = [noteTo(sight.server), noteTo(sight.client)]
  const deadline = AbortSignal.timeout(DEADLINE)
  const ended = deferred()
  const port = await start(t, scene, async (socket) => {
    try {
      await scene.server(socket, note)
    } catch (error) {
      note('threw', error)
    }
    // Without a listener, which others would see.
    while (socket.readyState !== WebSocket.CLOSED && !deadline.aborted) await setTimeout(2)
    ended.resolve()
  })
  const headers = { ...scene.headers, ...scene.protocol === undefined ? {} : { 'Sec-WebSocket-Protocol': scene.protocol } }
  const client = await openRaw(t, port, '/', headers)
  const whole = Promise.resolve((scene.client ?? closeNormally)(client, noteOfClient)).then(() => Promise.all([client.untilEnd(), ended.promise]))
  await Promise.race([whole, once(deadline, 'abort').then(() => { throw new Error('comes to no end') })])
  for (const { first, payload } of client.frames) noteOfClient(`0x${first.toString(16)}`, first === 0x88 && payload.length > 1 ? closeOf(payload) : payload)
  client.socket.destroy()
  return sight
}

function closeNormally (client: RawClient): void {
  client.write(closeFrame(1000))
}

function closeOf (payload: Buffer): string {
  return `${payload.readUInt16BE()} ${payload.subarray(2).toString()}`
}

/** Notes the events of a socket, with their arguments and the state that it has. */
export function noteEvents (socket: WebSocket, note: Note, ...events: string[]): void {
  const names = events.length > 0 ? events : ['open', 'message', 'ping', 'pong', 'error', 'close', 'upgrade', 'unexpected-response', 'redirect']
  for (const name of names) socket.on(name, (...args: unknown[]) => note(name, ...args, { readyState: socket.readyState }))
}

/** Notes what a deed returns or throws; returns whether it returned. */
export function attempt (note: Note, name: string, deed: () => unknown): boolean {
  try {
    note(name, deed())
    return true
  } catch (error) {
    note(name, 'throws', error)
    return false
  }
}

// An error by its kind and the code that ws documents: their texts are listed as one difference.
function describe (value: unknown): string {
  if (typeof value === 'string') return value
  if (Buffer.isBuffer(value)) return `Buffer(${printable(value)})`
  if (types.isAnyArrayBuffer(value)) return `ArrayBuffer(${printable(Buffer.from(value))})`
  if (value instanceof Blob) return `Blob(${value.size})`
  if (Array.isArray(value)) return `[${value.map(describe).join(', ')}]`
  if (value instanceof WebSocket) return 'the socket'
  if (value instanceof Error) return describeError(value)
  return inspect(value, { breakLength: Infinity })
}

function describeError (error: Error & { code?: unknown, closeCode?: unknown }): string {
  const kind = [TypeError, RangeError, SyntaxError].find((Kind) => error instanceof Kind) ?? Error
  const code = String(error.code ?? '')
  return `${kind.name}${code.startsWith('WS_ERR_') ? ` ${code}` : ''}`
}

function printable (bytes: Buffer): string {
  const text = bytes.toString()
  if (bytes.length > 100) return `${bytes.length} bytes, ${createHash('sha1').update(bytes).digest('hex').slice(0, 8)}`
  return /^[\x20-\x7eäö€]*$/.test(text) ? text : bytes.toString('hex')
}
