// What the plugin adds to Fastify's own types, for every kind of instance, and what it leaves as it was.
import type { Http2Server, Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import websocket from '../../index.ts'
import { type Equal, same } from './same.ts'

const plain = Fastify()
const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()

// ---- chaining -----------------------------------------------------------------------------------------------------------

const chained = app.websocketRoute('/', { onConnection () {} })
same<Equal<typeof chained, ReturnType<typeof app.get>>>()
chained
  .websocketRoute('/:room', {
    schema: { params: Type.Object({ room: Type.String() }) },
    onConnection (conn) { same<Equal<typeof conn.request.params, { room: string }>>() }
  })
  .get('/:room', { schema: { params: Type.Object({ room: Type.String() }) } }, async (request) => {
    same<Equal<typeof request.params, { room: string }>>()
  })

// ---- onRoute ------------------------------------------------------------------------------------------------------------

app.addHook('onRoute', (routeOptions) => {
  same<Equal<typeof routeOptions.websocketRoute, boolean | undefined>>()
})

// ---- instances ----------------------------------------------------------------------------------------------------------

function addRoute (instance: FastifyInstance): void {
  instance.websocketRoute('/', { onConnection () {} })
}
addRoute(plain)
addRoute(app)

const plugin: FastifyPluginAsync = async (instance) => {
  instance.websocketRoute('/', {
    onConnection (_conn) { same<Equal<typeof this, FastifyInstance>>() }
  })
}
plain.register(plugin)
app.register(plugin)
app.register(async (instance) => { instance.websocketRoute('/', { onConnection () {} }) })

const https = Fastify({ https: {} }).withTypeProvider<TypeBoxTypeProvider>()
https.register(websocket, { maxPayload: 1_024 })
https.websocketRoute('/', {
  schema: { params: Type.Object({ room: Type.String() }) },
  onConnection (conn, request) {
    same<Equal<typeof this, typeof https>>()
    same<Equal<typeof conn.request, typeof request>>()
    same<Equal<typeof request.params, { room: string }>>()
  }
})

const http2 = Fastify({ http2: true })
http2.register(websocket, { maxPayload: 1_024 })
http2.websocketRoute('/', {
  protocols: ['chat.v2'],
  onHandshake (conn, request) {
    same<Equal<typeof this, FastifyInstance<Http2Server, Http2ServerRequest, Http2ServerResponse>>>()
    same<Equal<typeof conn.request, typeof request>>()
    same<Equal<typeof request.raw.stream.closed, boolean>>()
    conn.acceptWith({ protocol: 'chat.v2' })
  }
})

interface AppLogger extends FastifyBaseLogger { audit (message: string): void }
const logged = Fastify({ loggerInstance: {} as AppLogger })
logged.websocketRoute('/', {
  onConnection (conn, request) {
    same<Equal<typeof conn.log, AppLogger>>()
    request.log.audit('connected')
    this.log.audit('connected')
  }
})
