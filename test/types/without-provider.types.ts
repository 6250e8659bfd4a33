// Without a type provider a schema says nothing to the compiler. What is typed is what is written as a type: the protocols,
// and the request's parts as Fastify's own routes take them.
import Fastify, { type FastifyInstance } from 'fastify'
import websocket from '../../index.ts'
import { type Equal, same } from './same.ts'

const app = Fastify()
app.register(websocket)

app.websocketRoute('/rooms/:room', {
  schema: {
    params: { type: 'object', required: ['room'], properties: { room: { type: 'string' } } },
    response: {
      101: { headers: { type: 'object', required: ['x-session'], properties: { 'x-session': { type: 'string' } } } },
      401: { type: 'object', properties: { error: { type: 'string' } } },
      429: { headers: { type: 'object', required: ['retry-after'], properties: { 'retry-after': { type: 'integer' } } } }
    }
  },
  protocols: ['chat.v2', 'chat.v1'],
  onHandshake (conn, request) {
    same<Equal<typeof request.params, unknown>>()
    same<Equal<typeof request.query, unknown>>()
    same<Equal<typeof request.headers.authorization, string | undefined>>()
    same<Equal<typeof conn.request, typeof request>>()
    same<Equal<typeof this, FastifyInstance>>()

    conn.acceptWith()
    conn.acceptWith({ headers: { 'x-session': 's', 'x-number': 1, 'x-boolean': true, 'set-cookie': ['a=1', 'b=2'] }, protocol: 'chat.v1' })
    // @ts-expect-error no header has an object as its value
    conn.acceptWith({ headers: { 'x-session': { id: 's' } } })
    // @ts-expect-error a header that is not to be sent is left out
    conn.acceptWith({ headers: { 'x-session': undefined } })
    // @ts-expect-error chat.v3 is not one of the protocols
    conn.acceptWith({ protocol: 'chat.v3' })

    conn.reject()
    conn.reject({})
    conn.reject({ code: 401, body: { anything: 1 }, headers: { 'x-any': 'thing' } })
    conn.reject({ code: 429 })
    // @ts-expect-error a code is a number
    conn.reject({ code: '401' })
    // @ts-expect-error no header has an object as its value
    conn.reject({ headers: { 'x-any': {} } })
    // @ts-expect-error no such option
    conn.reject({ status: 401 })
    // @ts-expect-error no such option
    conn.acceptWith({ header: {} })
    conn.reject({ body: new Response('text', { status: 401 }) })
  },
  onConnection (conn, request) {
    same<Equal<typeof conn.request, typeof request>>()
    same<Equal<typeof this, FastifyInstance>>()
  },
  handler: async () => ({ any: 'thing' })
})

app.websocketRoute('/without-anything', {
  onHandshake (conn) {
    conn.acceptWith({ protocol: 'any string', headers: {} })
    conn.reject({ body: 'anything' })
  }
})

// As app.get<{ Params }>() takes them. What is named here is not inferred from the options, the protocols neither.
interface Room {
  Params: { room: string }
  Querystring: { page?: number }
  Headers: { 'X-Trace': string }
  Reply: { 200: { online: number } }
}

app.websocketRoute<Room>('/rooms/:room', {
  protocols: ['chat.v2'],
  onHandshake (conn, request) {
    same<Equal<typeof request.params, { room: string }>>()
    same<Equal<typeof request.query, { page?: number }>>()
    same<Equal<typeof request.headers['x-trace'], string>>()
    same<Equal<typeof conn.request, typeof request>>()
    // @ts-expect-error there is no such parameter
    String(request.params.rooms)
    conn.acceptWith({ protocol: 'chat.v2', headers: { 'x-any': 'thing' } })
  },
  onConnection (conn) { same<Equal<typeof conn.request.params.room, string>>() },
  preValidation: async (request) => { same<Equal<typeof request.params.room, string>>() },
  handler (_request, reply) {
    // @ts-expect-error the reply has another shape
    reply.code(200).send({ offline: 1 })
    reply.code(200).send({ online: 1 })
  }
})

// A schema of which nothing is known is like none.
app.websocketRoute('/parsed', {
  schema: JSON.parse('{}'),
  onHandshake (conn) {
    conn.acceptWith({ headers: { 'x-any': 'thing' } })
    conn.reject({ code: 401, body: 'anything', headers: { 'x-any': 'thing' } })
  }
})
