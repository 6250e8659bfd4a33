// In a plugin of its own, as FastifyPluginAsyncTypebox and FastifyPluginCallbackTypebox type it.
import Fastify, { type FastifyInstance } from 'fastify'
import type { FastifyPluginAsyncTypebox, FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import websocket from '../../index.ts'
import { type Equal, same } from './same.ts'

const rooms: FastifyPluginAsyncTypebox<{ limit: number }> = async (app, { limit }) => {
  app.websocketRoute('/rooms/:room', {
    schema: {
      params: Type.Object({ room: Type.String() }),
      querystring: Type.Object({ page: Type.Integer() }),
      headers: Type.Object({ authorization: Type.String() }),
      response: {
        101: { headers: Type.Object({ 'x-session': Type.String() }) },
        401: Type.Object({ error: Type.String() })
      }
    },
    protocols: ['chat.v2', 'chat.v1'],
    async onHandshake (conn, request) {
      same<Equal<typeof request.params, { room: string }>>()
      same<Equal<typeof request.query, { page: number }>>()
      same<Equal<typeof request.headers.authorization, string>>()
      same<Equal<typeof this, typeof app>>()
      if (request.query.page > limit) return conn.reject({ code: 401, body: { error: 'no such page' } })
      conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'chat.v1' })
      // @ts-expect-error x-session is required
      conn.acceptWith()
      // @ts-expect-error chat.v3 is not one of the protocols
      conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'chat.v3' })
      // @ts-expect-error the body of a 401 has another shape
      conn.reject({ code: 401, body: { wrong: 1 } })
    },
    onConnection (conn, request) {
      same<Equal<typeof conn.request.params.room, string>>()
      same<Equal<typeof conn.request, typeof request>>()
      same<Equal<typeof this, typeof app>>()
      // @ts-expect-error the schema has no such parameter
      String(conn.request.params.rooms)
    }
  })
}

const callback: FastifyPluginCallbackTypebox = (app, _options, done) => {
  app.websocketRoute('/', {
    schema: { querystring: Type.Object({ page: Type.Integer() }) },
    onConnection (conn) { same<Equal<typeof conn.request.query, { page: number }>>() }
  })
  done()
}

const app: FastifyInstance = Fastify()
app.register(websocket)
app.register(rooms, { limit: 10, prefix: '/v1' })
app.register(callback)
