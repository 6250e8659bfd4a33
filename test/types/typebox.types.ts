// With TypeBox and withTypeProvider. These files are compiled, never run.
import Fastify from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { createWebSocketStream } from 'ws'
import websocket, { type WebSocketConnection } from '../../index.ts'
import { type Equal, same } from './same.ts'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await app.register(websocket)

app.websocketRoute('/rooms/:room', {
  schema: {
    params: Type.Object({ room: Type.String() }),
    querystring: Type.Object({ page: Type.Integer() }),
    headers: Type.Object({ authorization: Type.String() }),
    response: {
      101: { headers: Type.Object({ 'x-session': Type.String(), 'x-count': Type.Optional(Type.Integer()) }) },
      401: Type.Object({ error: Type.String() }),
      402: { content: { 'application/json': { schema: Type.Object({ price: Type.Number() }) } } },
      429: { headers: Type.Object({ 'retry-after': Type.Integer() }), content: { 'application/json': { schema: Type.Object({ wait: Type.Number() }) } } },
      410: { headers: Type.Object({ 'x-gone': Type.Optional(Type.String()) }) },
      '5xx': Type.Object({ broken: Type.Boolean() })
    }
  },
  protocols: ['chat.v2', 'chat.v1'],
  onHandshake (conn, request) {
    same<Equal<typeof request.params, { room: string }>>()
    same<Equal<typeof request.query, { page: number }>>()
    same<Equal<typeof request.headers.authorization, string>>()
    same<Equal<typeof conn.request, typeof request>>()
    this.log.info('the instance')

    conn.acceptWith({ headers: { 'x-session': 's' } })
    conn.acceptWith({ headers: { 'x-session': 's', 'x-count': 1 }, protocol: 'chat.v1' })
    // @ts-expect-error the headers are required
    conn.acceptWith()
    // @ts-expect-error the headers are required
    conn.acceptWith({ protocol: 'chat.v1' })
    // @ts-expect-error x-session is required
    conn.acceptWith({ headers: {} })
    // @ts-expect-error x-session is a string
    conn.acceptWith({ headers: { 'x-session': 1 } })
    // @ts-expect-error x-other is not declared
    conn.acceptWith({ headers: { 'x-session': 's', 'x-other': 's' } })
    // @ts-expect-error chat.v3 is not one of the protocols
    conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'chat.v3' })

    conn.reject()
    conn.reject({ code: 401, body: { error: 'no' } })
    conn.reject({ code: 401 })
    // @ts-expect-error not what is declared for 401
    conn.reject({ code: 401, body: { wrong: 1 } })
    // @ts-expect-error error is a string
    conn.reject({ code: 401, body: { error: 1 } })
    conn.reject({ code: 402, body: { price: 5 } })
    // @ts-expect-error not what is declared for 402
    conn.reject({ code: 402, body: { error: 'no' } })
    conn.reject({ code: 429, headers: { 'retry-after': 5 }, body: { wait: 5 } })
    // @ts-expect-error retry-after is required
    conn.reject({ code: 429, body: { wait: 5 } })
    // @ts-expect-error retry-after is a number
    conn.reject({ code: 429, headers: { 'retry-after': 'soon' } })
    conn.reject({ code: 410, body: 'anything', headers: { 'x-gone': 'yes' } })
    conn.reject({ code: 410 })
    // @ts-expect-error x-gone is a string
    conn.reject({ code: 410, headers: { 'x-gone': 5 } })
    conn.reject({ code: 503, body: { broken: true } })
    // @ts-expect-error not what is declared for 5xx
    conn.reject({ code: 503, body: { broken: 'yes' } })
    conn.reject({ code: 404, body: Buffer.from('anything'), headers: { 'x-any': 'thing' } })
    conn.reject({ code: Number('404'), body: 'anything' })
    // @ts-expect-error no such option
    conn.reject({ status: 404 })
  },
  onConnection (conn, request) {
    same<Equal<typeof request.params, { room: string }>>()
    same<Equal<typeof conn.id, number>>()
    createWebSocketStream(conn)
    takesAny(conn)
    // @ts-expect-error request.params has no such property
    console.log(request.params.rooms)
  },
  preHandler: async (request) => { console.log(request.params.room.length) },
  async handler (request, reply) {
    same<Equal<typeof request.params, { room: string }>>()
    return await reply.code(401).send({ error: 'plain' })
  }
}).websocketRoute('/next', { onConnection (conn) { conn.send('chained') } })

function takesAny (conn: WebSocketConnection): number {
  return conn.id
}
