// The options of the plugin and of a route: what is no option, or has the wrong type, does not compile.
import Fastify from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import websocket, {
  errors, fastifyWebsocketRoute, type WebSocketPluginOptions, type WebSocketRouteOptions, type WebSocketSchema, type WebSocketServerOptions
} from '../../index.ts'
import { type Equal, same } from './same.ts'

const app = Fastify()

// ---- the plugin ---------------------------------------------------------------------------------------------------------

const serverOptions: WebSocketServerOptions = {
  handshakeTimeout: 1_000,
  closeTimeout: 1_000,
  maxPayload: 1_024,
  maxFragments: 16,
  perMessageDeflate: { threshold: 1_024 },
  skipUTF8Validation: true
}
const pluginOptions: WebSocketPluginOptions = serverOptions

app.register(websocket)
app.register(fastifyWebsocketRoute, {})
app.register(websocket, pluginOptions)
app.register(websocket, { ...serverOptions, prefix: '/ws', logLevel: 'warn' })
app.register(websocket, { handshakeTimeout: false, perMessageDeflate: true })
app.register(websocket, { handshakeTimeout: undefined, maxPayload: undefined })
app.register(websocket, () => ({ closeTimeout: 1_000 }))
// @ts-expect-error a time-out is a number of milliseconds
app.register(websocket, { handshakeTimeout: '10' })
// @ts-expect-error there is no switching the close time-out off
app.register(websocket, { closeTimeout: false })
// @ts-expect-error a size is a number of bytes
app.register(websocket, { maxPayload: '1mb' })
// @ts-expect-error misspelt
app.register(websocket, { handshakeTimeOut: 1_000 })
// @ts-expect-error @fastify/websocket has the options of ws under this name
app.register(websocket, { options: { maxPayload: 1_024 } })
// @ts-expect-error an option of routes
app.register(websocket, { protocols: ['chat.v2'] })
// @ts-expect-error no such option of permessage-deflate
app.register(websocket, { perMessageDeflate: { level: 1 } })

// ---- a route ------------------------------------------------------------------------------------------------------------

app.websocketRoute('/', { ...serverOptions, onConnection () {} })
app.websocketRoute('/', {
  method: 'GET',
  handshakeTimeout: false,
  handlerTimeout: 1_000,
  bodyLimit: 1_024,
  attachValidation: true,
  logLevel: 'warn',
  constraints: { host: 'example.com' },
  prefixTrailingSlash: 'slash',
  protocols: [],
  onConnection () {},
  handler: async () => 'hello'
})
app.websocketRoute('/', {
  schema: undefined,
  method: undefined,
  protocols: undefined,
  handler: undefined,
  onHandshake: undefined,
  handshakeTimeout: undefined,
  onConnection (conn) { conn.send('hello') }
})

// @ts-expect-error it is onConnection
app.websocketRoute('/', { onConnect () {} })
// @ts-expect-error it is onConnection
app.websocketRoute('/', { onHandshake () {}, onconnection () {} })
// @ts-expect-error @fastify/websocket calls the handler of connections so
app.websocketRoute('/', { wsHandler () {} })
// @ts-expect-error every route of websocketRoute() is one
app.websocketRoute('/', { websocket: true, onConnection () {} })
// @ts-expect-error the path is the first argument
app.websocketRoute('/', { url: '/', onConnection () {} })
// @ts-expect-error a handshake is a GET
app.websocketRoute('/', { method: 'POST', onConnection () {} })
// @ts-expect-error a time-out is a number of milliseconds
app.websocketRoute('/', { handshakeTimeout: '10', onConnection () {} })
// @ts-expect-error a size is a number of bytes
app.websocketRoute('/', { maxPayload: '1mb', onConnection () {} })
// @ts-expect-error protocols are a list
app.websocketRoute('/', { protocols: 'chat.v2', onConnection () {} })
// @ts-expect-error protocols are strings
app.websocketRoute('/', { protocols: [2], onConnection () {} })
// @ts-expect-error a handshake has no body
app.websocketRoute('/', { schema: { body: { type: 'object' } }, onConnection () {} })
// @ts-expect-error a callback is a function
app.websocketRoute('/', { onConnection: 'hello' })
// @ts-expect-error the handshake is not refused by what onHandshake returns
app.websocketRoute('/', { onHandshake: () => false })
// @ts-expect-error the handshake is not refused by what onHandshake returns
app.websocketRoute('/', { onHandshake: async () => false })
// @ts-expect-error a path is a string
app.websocketRoute(/rooms/, { onConnection () {} })
// @ts-expect-error the options are needed
app.websocketRoute('/')

app.websocketRoute('/', { onHandshake: (conn) => conn.acceptWith() })
app.websocketRoute('/', { onHandshake: async (conn) => conn.reject() })
app.websocketRoute('/', { onConnection: (conn) => conn.on('message', (data) => conn.send(data)) })

// The config of the route, as other plugins read it.
app.websocketRoute('/', {
  config: { rooms: 10, rateLimit: { max: 3 } },
  onConnection (conn, request) {
    same<Equal<typeof request.routeOptions.config.rooms, number>>()
    same<Equal<typeof conn.request.routeOptions.config.rooms, number>>()
    // @ts-expect-error the config has no such entry
    String(request.routeOptions.config.halls)
  }
})

// ---- options and schemas that stand elsewhere ---------------------------------------------------------------------------

const options: WebSocketRouteOptions = {
  onHandshake (conn, request) {
    same<Equal<typeof request.params, unknown>>()
    conn.acceptWith({ headers: { 'x-any': 'thing' }, protocol: 'any string' })
  }
}
app.websocketRoute('/', options)
app.websocketRoute('/', { ...options, maxPayload: 1_024 })
app.withTypeProvider<TypeBoxTypeProvider>().websocketRoute('/', options)

const schema = {
  params: Type.Object({ room: Type.String() }),
  response: { 101: { headers: Type.Object({ 'x-session': Type.String() }) } }
} satisfies WebSocketSchema
app.withTypeProvider<TypeBoxTypeProvider>().websocketRoute('/', {
  schema,
  onHandshake (conn) { conn.acceptWith({ headers: { 'x-session': conn.request.params.room } }) }
})
// @ts-expect-error a handshake has no body
const withBody: WebSocketSchema = { body: Type.Object({}) }
app.websocketRoute('/', { schema: withBody, onConnection () {} })

// ---- errors -------------------------------------------------------------------------------------------------------------

same<Equal<typeof errors.FST_ERR_WS_REJECT_CODE extends (code: string) => Error ? true : false, true>>()
