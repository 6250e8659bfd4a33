// With withTypeProvider<TypeBoxTypeProvider>(): what the schema says is known wherever the route has code.
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type RawReplyDefaultExpression, type RawRequestDefaultExpression, type RawServerDefault } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import websocket, { type WebSocketConnection } from '../../index.ts'
import { type Equal, same } from './same.ts'

type App = FastifyInstance<RawServerDefault, RawRequestDefaultExpression, RawReplyDefaultExpression, FastifyBaseLogger, TypeBoxTypeProvider>

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
app.register(websocket)

// ---- inline, with everything --------------------------------------------------------------------------------------------

app.websocketRoute('/rooms/:room', {
  schema: {
    params: Type.Object({ room: Type.String() }),
    querystring: Type.Object({ page: Type.Optional(Type.Integer()) }),
    headers: Type.Object({ authorization: Type.String(), 'X-Trace': Type.Optional(Type.String()) }),
    response: {
      101: { headers: Type.Object({ 'x-session': Type.String(), 'x-count': Type.Optional(Type.Integer()) }) },
      200: Type.Object({ online: Type.Integer() }),
      401: Type.Object({ error: Type.String() }),
      402: { content: { 'application/json': { schema: Type.Object({ price: Type.Number() }) } } },
      410: { headers: Type.Object({ 'x-gone': Type.Optional(Type.String()) }) },
      429: {
        headers: Type.Object({ 'retry-after': Type.Integer() }),
        content: { 'application/json': { schema: Type.Object({ wait: Type.Number() }) } }
      }
    }
  },
  protocols: ['chat.v2', 'chat.v1'],
  onHandshake (conn, request) {
    same<Equal<typeof request.params, { room: string }>>()
    same<Equal<typeof request.query, { page?: number }>>()
    same<Equal<typeof request.headers.authorization, string>>()
    same<Equal<typeof request.headers['x-trace'], string | undefined>>()
    same<Equal<typeof request.headers.cookie, string | undefined>>()
    same<Equal<typeof conn.request, typeof request>>()
    same<Equal<typeof this, App>>()
    // @ts-expect-error the schema has no such parameter
    String(request.params.rooms)
    // @ts-expect-error the schema has no such field in the query
    String(request.query.pages)

    conn.acceptWith({ headers: { 'x-session': 's' } })
    conn.acceptWith({ headers: { 'x-session': 's', 'x-count': 1 } })
    conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'chat.v1' })
    // @ts-expect-error x-session is required, so the options are
    conn.acceptWith()
    // @ts-expect-error x-session is required, so the options are
    conn.acceptWith(undefined)
    // @ts-expect-error x-session is required, so the headers are
    conn.acceptWith({ protocol: 'chat.v1' })
    // @ts-expect-error x-session is required
    conn.acceptWith({ headers: { 'x-count': 1 } })
    // @ts-expect-error x-session is a string
    conn.acceptWith({ headers: { 'x-session': 1 } })
    // @ts-expect-error x-count is an integer
    conn.acceptWith({ headers: { 'x-session': 's', 'x-count': '1' } })
    // @ts-expect-error x-other is not declared
    conn.acceptWith({ headers: { 'x-session': 's', 'x-other': 's' } })
    // @ts-expect-error chat.v3 is not one of the protocols
    conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'chat.v3' })
    // @ts-expect-error no such option
    conn.acceptWith({ headers: { 'x-session': 's' }, protocols: ['chat.v1'] })

    conn.reject({ code: 401, body: { error: 'authorization required' } })
    conn.reject({ code: 401, headers: { 'www-authenticate': 'Bearer' } })
    // @ts-expect-error the body of a 401 has another shape
    conn.reject({ code: 401, body: { wrong: 1 } })
    // @ts-expect-error the error of a 401 is a string
    conn.reject({ code: 401, body: { error: 1 } })
    // @ts-expect-error the body of a 401 has nothing but the error
    conn.reject({ code: 401, body: { error: 'authorization required', wrong: 1 } })
    // @ts-expect-error a body with a schema is a value for that schema, not any payload
    conn.reject({ code: 401, body: 'authorization required' })

    conn.reject({ code: 402, body: { price: 5 } })
    // @ts-expect-error the body of a 402 has another shape
    conn.reject({ code: 402, body: { error: 'too little' } })

    conn.reject({ code: 410 })
    conn.reject({ code: 410, headers: { 'x-gone': 'yesterday' }, body: 'has headers only, so any body' })
    // @ts-expect-error x-gone is a string
    conn.reject({ code: 410, headers: { 'x-gone': 5 } })
    // @ts-expect-error x-other is not declared for 410
    conn.reject({ code: 410, headers: { 'x-other': 'yesterday' } })

    conn.reject({ code: 429, headers: { 'retry-after': 5 } })
    conn.reject({ code: 429, headers: { 'retry-after': 5 }, body: { wait: 5 } })
    // @ts-expect-error retry-after is required for 429, so the headers are
    conn.reject({ code: 429, body: { wait: 5 } })
    // @ts-expect-error retry-after is required for 429
    conn.reject({ code: 429, headers: {} })
    // @ts-expect-error retry-after is an integer
    conn.reject({ code: 429, headers: { 'retry-after': 'soon' } })
    // @ts-expect-error the body of a 429 has another shape
    conn.reject({ code: 429, headers: { 'retry-after': 5 }, body: { error: 'too many' } })

    conn.reject()
    conn.reject({ code: 404, body: Buffer.from('not declared, so anything'), headers: { 'x-any': ['thing'] } })
  },
  onConnection (conn, request) {
    same<Equal<typeof request.params, { room: string }>>()
    same<Equal<typeof conn.request, typeof request>>()
    same<Equal<typeof this, App>>()
    same<Equal<typeof conn.request.query.page, number | undefined>>()
    // @ts-expect-error the schema has no such parameter
    String(request.params.rooms)
  },
  onRequest (request, _reply, done) {
    same<Equal<typeof request.params, { room: string }>>()
    same<Equal<typeof this, App>>()
    done()
  },
  preHandler: [async function (request) {
    same<Equal<typeof request.headers.authorization, string>>()
    same<Equal<typeof this, App>>()
  }],
  errorHandler (error, request, reply) {
    same<Equal<typeof request.query.page, number | undefined>>()
    reply.code(401).send({ error: error.message })
  },
  handler (request, reply) {
    same<Equal<typeof request.params, { room: string }>>()
    same<Equal<typeof this, App>>()
    // @ts-expect-error the schema has no such parameter
    String(request.params.rooms)
    // @ts-expect-error the body of a 200 has another shape
    reply.code(200).send({ offline: 1 })
    // @ts-expect-error the headers of the 101 are no body that the handler could send
    reply.send({ headers: {} })
    reply.code(200).send({ online: 1 })
  }
})

app.websocketRoute('/handler', {
  schema: { response: { 101: { headers: Type.Object({ 'x-session': Type.String() }) }, 200: Type.Object({ online: Type.Integer() }) } },
  onConnection () {},
  // @ts-expect-error the body of a 200 has another shape
  handler: async () => ({ offline: 1 })
})

app.websocketRoute('/handler', {
  schema: { response: { 101: { headers: Type.Object({ 'x-session': Type.String() }) }, 200: Type.Object({ online: Type.Integer() }) } },
  onConnection () {},
  handler: async () => ({ online: 1 })
})

app.websocketRoute('/handler-without-bodies', {
  schema: { response: { 101: { headers: Type.Object({ 'x-session': Type.String() }) } } },
  onConnection () {},
  handler: async () => 'anything'
})

// ---- async, arrows, and what a route may leave out ----------------------------------------------------------------------

app.websocketRoute('/async', {
  schema: { params: Type.Object({ room: Type.String() }), response: { 401: Type.Object({ error: Type.String() }) } },
  onHandshake: async (conn, request) => {
    same<Equal<typeof request.params, { room: string }>>()
    if (request.params.room === '') return conn.reject({ code: 401, body: { error: 'no room' } })
    conn.acceptWith()
  },
  onConnection: async (conn) => {
    same<Equal<typeof conn.request.params, { room: string }>>()
  }
})

app.websocketRoute('/without-parameters', {
  onHandshake () { this.log.info('the instance') },
  onConnection () {
    same<Equal<ReturnType<typeof this.withTypeProvider<TypeBoxTypeProvider>>, App>>()
    // @ts-expect-error the instance has no such method
    this.acceptWith()
  }
})

app.websocketRoute('/without-schema', {
  protocols: ['chat.v2', 'chat.v1'],
  onHandshake (conn, request) {
    same<Equal<typeof request.params, unknown>>()
    same<Equal<typeof request.query, unknown>>()
    same<Equal<typeof request.headers.authorization, string | undefined>>()
    conn.acceptWith()
    conn.acceptWith({ headers: { 'x-any': 'thing' }, protocol: 'chat.v2' })
    // @ts-expect-error chat.v3 is not one of the protocols
    conn.acceptWith({ protocol: 'chat.v3' })
    conn.reject({ code: 401, body: { any: 'thing' } })
  }
})

app.websocketRoute('/without-protocols', {
  schema: { response: { 101: { headers: Type.Object({ 'x-count': Type.Optional(Type.Integer()) }) } } },
  onHandshake (conn) {
    conn.acceptWith()
    conn.acceptWith({})
    conn.acceptWith({ protocol: 'anything that the client offered' })
    conn.acceptWith({ headers: { 'x-count': 1 } })
    // @ts-expect-error x-count is an integer
    conn.acceptWith({ headers: { 'x-count': 'one' } })
    // @ts-expect-error a protocol is a string
    conn.acceptWith({ protocol: 1 })
  }
})

// ---- schemas that stand elsewhere ---------------------------------------------------------------------------------------

const schema = {
  params: Type.Object({ room: Type.String() }),
  response: { 101: { headers: Type.Object({ 'x-session': Type.String() }) }, 403: Type.Object({ error: Type.String() }) }
}
const protocols = ['chat.v2', 'chat.v1'] as const

app.websocketRoute('/elsewhere', {
  schema,
  protocols,
  onHandshake (conn, request) {
    same<Equal<typeof conn, WebSocketConnection<typeof schema, TypeBoxTypeProvider, 'chat.v2' | 'chat.v1', typeof request, undefined>>>()
    same<Equal<typeof request.params, { room: string }>>()
    conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'chat.v2' })
    // @ts-expect-error x-session is required
    conn.acceptWith({ protocol: 'chat.v2' })
    // @ts-expect-error chat.v3 is not one of the protocols
    conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'chat.v3' })
    conn.reject({ body: { error: 'without a code it is 403' } })
    // @ts-expect-error without a code it is 403
    conn.reject({ body: { wrong: 1 } })
  }
})

app.websocketRoute('/elsewhere', {
  schema: { ...schema, querystring: Type.Object({ page: Type.Integer() }) } as const,
  protocols: [...protocols, 'chat.v0'],
  onHandshake (conn, request) {
    same<Equal<typeof request.params, { room: string }>>()
    same<Equal<typeof request.query, { page: number }>>()
    conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'chat.v0' })
    // @ts-expect-error chat.v3 is not one of the protocols
    conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'chat.v3' })
  }
})

const namesOnly: string[] = ['chat.v2']
app.websocketRoute('/names', {
  protocols: namesOnly,
  onHandshake (conn) { conn.acceptWith({ protocol: 'any of them' }) }
})
