// What concerns all connections: limits, origins, fastify.websockets, fastify.injectWebSocket() and the channels.
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import Fastify, { type FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import websocket, {
  type BroadcastOptions, type ClientClose, type CloseEvent, type CloseOptions, type DrainOptions, type DrainProgress, type ErrorEvent, type HandshakeTrace, type InjectedWebSocket, type InjectOptions,
  type LogLevels, type MessageEvent, type NextOptions, type NoMessage, type OpenEvent, type OriginOption, type RefusedHandshake, type RouteStats, type WebSocketConnection, type WebSockets, type WebSocketStats
} from '../../index.ts'
import { type Equal, same } from './same.ts'

const app = Fastify()

// ---- options ------------------------------------------------------------------------------------------------------------

app.register(websocket, {
  origin: 'same',
  logLevels: { opened: 'debug', refused: 'silent' },
  maxConnections: 10_000,
  maxConnectionsPerKey: Infinity,
  maxPendingHandshakes: 100,
  keyGenerator: (request) => {
    same<Equal<typeof request, FastifyRequest>>()
    return request.ip
  },
  servers: [createServer(), createTlsServer()]
})
app.websocketRoute('/', { origin: true, maxConnections: 5, keyGenerator: async ({ ip }) => ip, logLevels: {}, onConnection () {} })
app.websocketRoute('/', { origin: ['https://a.example', /^https:\/\/b\.example$/, 'null'], onConnection () {} })
app.websocketRoute('/', { origin: async (origin, request) => origin === request.host, onConnection () {} })
const origins: OriginOption[] = [true, 'same', /x/, ['same'], () => true]
const levels: LogLevels = { closed: undefined }
app.websocketRoute('/', { ...origins[0] === undefined ? {} : { origin: origins[0] }, logLevels: levels, onConnection () {} })
// @ts-expect-error nobody would get in
app.websocketRoute('/', { origin: false, onConnection () {} })
// @ts-expect-error a function says yes or no
app.websocketRoute('/', { origin: () => 'https://a.example', onConnection () {} })
// @ts-expect-error a list has no functions
app.websocketRoute('/', { origin: [() => true], onConnection () {} })
// @ts-expect-error a key is a string
app.websocketRoute('/', { keyGenerator: () => 1, onConnection () {} })
// @ts-expect-error no such level
app.websocketRoute('/', { logLevels: { opened: 'loud' }, onConnection () {} })
// @ts-expect-error no such line
app.websocketRoute('/', { logLevels: { connected: 'info' }, onConnection () {} })
// @ts-expect-error an option of the plugin
app.websocketRoute('/', { servers: [], onConnection () {} })
// @ts-expect-error not a server
app.register(websocket, { servers: [3000] })

// ---- fastify.websockets -------------------------------------------------------------------------------------------------

same<Equal<typeof app.websockets, WebSockets>>()
same<Equal<typeof app.websockets.stats, WebSocketStats>>()
same<Equal<typeof app.websockets.size, number>>()
same<Equal<ReturnType<typeof app.websockets.get>, WebSocketConnection | undefined>>()
same<Equal<ReturnType<typeof app.websockets.values>, IterableIterator<WebSocketConnection>>>()
same<Equal<ReturnType<typeof app.websockets.broadcast>, number>>()
same<Equal<ReturnType<typeof app.websockets.drain>, Promise<Omit<DrainProgress, 'remaining'>>>>()
app.websockets.get(1)?.close(4000)
for (const conn of app.websockets) conn.close(4000)
for (const conn of app.websockets.values({ route: '/' })) conn.close(4000)
app.websockets.broadcast({ any: 'value' }, { filter: (conn) => conn.request.ip !== '', route: '/' })
const broadcastOptions: BroadcastOptions = { filter: undefined }
app.websockets.broadcast('text', broadcastOptions)
const refusals: Readonly<Record<number, number>> = app.websockets.stats.refused
same<Equal<typeof app.websockets.stats.routes, Readonly<Record<string, RouteStats>>>>()
same<Equal<WebSocketStats['closed'], RouteStats['closed']>>()
app.log.info(refusals)
same<Equal<ReturnType<typeof app.websockets.close>, number>>()
app.websockets.close()
const closeOptions: CloseOptions = { route: '/', topic: 'tea', filter: (conn) => conn.topics.length === 0, code: 4000, reason: 'bye' }
app.websockets.close(closeOptions)
app.websockets.values({ topic: 'tea', filter: ({ id }) => id === 1 })
// @ts-expect-error: a reason is a string
app.websockets.close({ reason: Buffer.from('x') })
// @ts-expect-error: there is no such option
app.websockets.close({ topics: ['tea'] })
same<Equal<ReturnType<typeof app.websockets.publish>, number>>()
same<Equal<ReturnType<typeof app.websockets.subscribers>, number>>()
app.websockets.publish('tea', { any: 'value' })
app.websockets.subscribers('tea')
// @ts-expect-error a topic is a string
app.websockets.publish(1, 'x')
// @ts-expect-error a snapshot cannot be written to
app.websockets.stats.accepted = 0
// @ts-expect-error an id is a number
app.websockets.get('1')
// @ts-expect-error a filter says yes or no
app.websockets.broadcast('text', { filter: (conn) => conn.id })

const drainOptions: DrainOptions = { code: 1012, reason: 'x', batchSize: 1, interval: 1, timeout: 1, onProgress ({ remaining }) { app.log.info({ remaining }) } }
app.websockets.drain(drainOptions)
// @ts-expect-error misspelt
app.websockets.drain({ batchsize: 1 })

// ---- fastify.injectWebSocket() ------------------------------------------------------------------------------------------

const injectOptions: InjectOptions = {
  headers: { cookie: 'a=b', 'x-list': ['a', 'b'], 'x-number': 1 }, protocols: ['v1'], remoteAddress: '::1', signal: new AbortController().signal, timeout: 1_000
}
same<Equal<ReturnType<typeof app.injectWebSocket>, Promise<InjectedWebSocket>>>()
app.injectWebSocket('/', injectOptions).then(async (client) => {
  const nextOptions: NextOptions = { timeout: 1_000 }
  same<Equal<Awaited<ReturnType<typeof client.next>>, string | Buffer>>()
  await client.next(nextOptions)
  const parsed = await client.nextJson()
  same<Equal<typeof parsed, unknown>>()
  const typed = await client.nextJson<{ text: string }>(nextOptions)
  same<Equal<typeof typed, { text: string }>>()
  app.log.info({ parsed, typed })
  same<Equal<typeof client.closed, Promise<ClientClose>>>()
  same<Equal<ClientClose, { readonly code: number, readonly reason: string }>>()
  same<Equal<NoMessage['close'], ClientClose | null>>()
  // @ts-expect-error: a number of milliseconds
  await client.next({ timeout: '1s' })
  const ws: WebSocket = client
  const { statusCode, headers } = client.response
  app.log.info({ isOpen: statusCode === 101, cookie: headers['set-cookie']?.[0] })
  same<Equal<ReturnType<typeof client.messages>, AsyncIterableIterator<string | Buffer, undefined>>>()
  for await (const message of client.messages()) app.log.info({ size: message.length })
  ws.close()
}).catch((error: RefusedHandshake) => {
  same<Equal<typeof error.code, 'FST_ERR_WS_REFUSED'>>()
  app.log.info({ status: error.statusCode, body: error.body.length, allow: error.headers.allow })
})
// @ts-expect-error a list
app.injectWebSocket('/', { protocols: 'v1' })
// @ts-expect-error misspelt
app.injectWebSocket('/', { header: {} })

// ---- the channels -------------------------------------------------------------------------------------------------------

export function take (event: OpenEvent | MessageEvent | CloseEvent | ErrorEvent, trace: HandshakeTrace): void {
  same<Equal<typeof event.route, string>>()
  same<Equal<typeof event.connection, WebSocketConnection>>()
  same<Equal<typeof trace.request, FastifyRequest>>()
  same<Equal<typeof trace.statusCode, number | undefined>>()
}
