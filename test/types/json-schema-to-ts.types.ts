// With @fastify/type-provider-json-schema-to-ts: plain JSON Schema, inline without `as const`, or elsewhere with it.
import Fastify from 'fastify'
import type { FastifyPluginAsyncJsonSchemaToTs, JsonSchemaToTsProvider } from '@fastify/type-provider-json-schema-to-ts'
import websocket from '../../index.ts'
import { type Equal, same } from './same.ts'

const app = Fastify().withTypeProvider<JsonSchemaToTsProvider>()
app.register(websocket)

app.websocketRoute('/rooms/:room', {
  schema: {
    params: { type: 'object', required: ['room'], properties: { room: { type: 'string' } }, additionalProperties: false },
    querystring: { type: 'object', properties: { page: { type: 'integer' } }, additionalProperties: false },
    headers: { type: 'object', required: ['authorization'], properties: { authorization: { type: 'string' } } },
    response: {
      101: {
        headers: {
          type: 'object',
          required: ['x-session'],
          properties: { 'x-session': { type: 'string' }, 'x-count': { type: 'integer' } },
          additionalProperties: false
        }
      },
      200: { type: 'object', required: ['online'], properties: { online: { type: 'integer' } }, additionalProperties: false },
      401: { type: 'object', required: ['error'], properties: { error: { type: 'string' } }, additionalProperties: false },
      429: {
        headers: { type: 'object', required: ['retry-after'], properties: { 'retry-after': { type: 'integer' } }, additionalProperties: false },
        content: {
          'application/json': {
            schema: { type: 'object', required: ['wait'], properties: { wait: { type: 'number' } }, additionalProperties: false }
          }
        }
      }
    }
  },
  protocols: ['chat.v2', 'chat.v1'],
  onHandshake (conn, request) {
    same<Equal<typeof request.params, { room: string }>>()
    same<Equal<typeof request.query, { page?: number }>>()
    same<Equal<typeof request.headers.authorization, string>>()
    same<Equal<typeof conn.request, typeof request>>()
    same<Equal<typeof this, typeof app>>()
    // @ts-expect-error the schema has no such parameter
    String(request.params.rooms)

    conn.acceptWith({ headers: { 'x-session': 's', 'x-count': 1 }, protocol: 'chat.v2' })
    // @ts-expect-error x-session is required, so the options are
    conn.acceptWith()
    // @ts-expect-error x-session is required
    conn.acceptWith({ headers: { 'x-count': 1 } })
    // @ts-expect-error x-session is a string
    conn.acceptWith({ headers: { 'x-session': 1 } })
    // @ts-expect-error x-other is not declared, and the schema allows no others
    conn.acceptWith({ headers: { 'x-session': 's', 'x-other': 's' } })
    // @ts-expect-error chat.v3 is not one of the protocols
    conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'chat.v3' })

    conn.reject({ code: 401, body: { error: 'authorization required' } })
    // @ts-expect-error the body of a 401 has another shape
    conn.reject({ code: 401, body: { wrong: 1 } })
    conn.reject({ code: 429, headers: { 'retry-after': 5 }, body: { wait: 5 } })
    // @ts-expect-error retry-after is required for 429, so the headers are
    conn.reject({ code: 429, body: { wait: 5 } })
    // @ts-expect-error the body of a 429 has another shape
    conn.reject({ code: 429, headers: { 'retry-after': 5 }, body: { error: 'too many' } })
    conn.reject({ code: 404, body: 'anything' })
  },
  onConnection (conn) {
    same<Equal<typeof conn.request.params, { room: string }>>()
    same<Equal<typeof this, typeof app>>()
  },
  preHandler: async (request) => { same<Equal<typeof request.params, { room: string }>>() },
  handler (_request, reply) {
    // @ts-expect-error the body of a 200 has another shape
    reply.code(200).send({ offline: 1 })
    reply.code(200).send({ online: 1 })
  }
})

// JSON Schema allows other properties unless it is told not to; what they are, it leaves open. Headers they are all the same.
const schema = {
  params: { type: 'object', required: ['room'], properties: { room: { type: 'string' } } },
  response: {
    101: { headers: { type: 'object', required: ['x-session'], properties: { 'x-session': { type: 'string' } } } },
    '4xx': { type: 'object', required: ['error'], properties: { error: { type: 'string' } } },
    '5xx': {
      headers: { type: 'object', required: ['retry-after'], properties: { 'retry-after': { type: 'integer' } } },
      type: 'object',
      required: ['sorry'],
      properties: { sorry: { type: 'string' } }
    }
  }
} as const

app.websocketRoute('/elsewhere', {
  schema,
  onHandshake (conn, request) {
    same<Equal<typeof request.params.room, string>>()
    conn.acceptWith({ headers: { 'x-session': 's' } })
    conn.acceptWith({ headers: { 'x-session': 's', 'x-other': ['of', 'any', 'kind'] } })
    // @ts-expect-error x-session is required
    conn.acceptWith({ headers: { 'x-other': 's' } })
    // @ts-expect-error x-session is a string
    conn.acceptWith({ headers: { 'x-session': 1 } })
    // @ts-expect-error no header has an object as its value
    conn.acceptWith({ headers: { 'x-session': 's', 'x-other': { of: 'no kind' } } })
    conn.reject({ code: 404, body: { error: 'no such room' } })
    // @ts-expect-error the body of a 4xx has an error
    conn.reject({ code: 404, body: { wrong: 1 } })
    conn.reject({ code: 503, headers: { 'retry-after': 5 }, body: { sorry: 'later' } })
    // @ts-expect-error retry-after is required for 5xx
    conn.reject({ code: 503, body: { sorry: 'later' } })
    // @ts-expect-error what stands beside the headers is the schema of the body
    conn.reject({ code: 503, headers: { 'retry-after': 5 }, body: { wrong: 1 } })
  }
})

const plugin: FastifyPluginAsyncJsonSchemaToTs = async (app) => {
  app.websocketRoute('/plugin', {
    schema,
    onConnection (conn) { same<Equal<typeof conn.request.params.room, string>>() }
  })
}
app.register(plugin)
