// The options of the plugin and of a route, and what onRoute hooks see.
import Fastify from 'fastify'
import websocket, { fastifyWebsocketRoute, type WebSocketPluginOptions, type WebSocketServerOptions } from '../../index.ts'
import { type Equal, same } from './same.ts'

const app = Fastify({ https: { key: '', cert: '' } })
await app.register(websocket, { handshakeTimeout: 5_000, closeTimeout: 1, maxPayload: 1, maxFragments: 1, perMessageDeflate: { threshold: 0 }, skipUTF8Validation: true })
await app.register(fastifyWebsocketRoute)
await app.register(websocket, { handshakeTimeout: false, perMessageDeflate: true, prefix: '/v1' })
// @ts-expect-error no such option
await app.register(websocket, { handshakeTimeOut: 1 })
// @ts-expect-error a time-out is a number or false
await app.register(websocket, { handshakeTimeout: '10s' })

export const options: WebSocketPluginOptions & WebSocketServerOptions = { maxPayload: 1 }

const onConnection = (): void => {}
app.websocketRoute('/', { onConnection, method: 'GET', logLevel: 'warn', config: {}, constraints: { host: 'a' }, exposeHeadRoute: false, handlerTimeout: 5, bodyLimit: 5, prefixTrailingSlash: 'both', attachValidation: true, errorHandler () {} })
// @ts-expect-error a handshake is a GET
app.websocketRoute('/', { onConnection, method: 'POST' })
// @ts-expect-error no such option
app.websocketRoute('/', { onConnection, onOpen () {} })
// @ts-expect-error protocols are strings
app.websocketRoute('/', { onConnection, protocols: [1] })
// @ts-expect-error no callback
app.websocketRoute('/', { onConnection: 'x' })
// @ts-expect-error a handshake has no body
app.websocketRoute('/', { onConnection, schema: { body: { type: 'object' } } })
// @ts-expect-error the options are not optional
app.websocketRoute('/')

app.addHook('onRoute', (routeOptions) => {
  same<Equal<typeof routeOptions.websocket, boolean | undefined>>()
})
