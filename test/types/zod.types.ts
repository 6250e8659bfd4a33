// With fastify-type-provider-zod: what is sent is typed by the provider's serializer, what is received by its validator.
import Fastify from 'fastify'
import { type FastifyPluginAsyncZod, serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import websocket from '../../index.ts'
import { type Equal, same } from './same.ts'

const app = Fastify().setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler).withTypeProvider<ZodTypeProvider>()
app.register(websocket)

app.websocketRoute('/rooms/:room', {
  schema: {
    params: z.object({ room: z.string() }),
    querystring: z.object({ page: z.coerce.number().default(1) }),
    headers: z.object({ authorization: z.string() }),
    response: {
      101: { headers: z.object({ 'x-session': z.string(), 'x-count': z.number().optional() }) },
      200: z.object({ online: z.number() }),
      401: z.object({ error: z.string() }),
      409: z.union([z.object({ taken: z.string() }), z.object({ locked: z.boolean() })]),
      429: {
        headers: z.object({ 'retry-after': z.number() }),
        content: { 'application/json': { schema: z.object({ wait: z.number() }) } }
      },
      '5xx': z.string()
    }
  },
  protocols: ['chat.v2', 'chat.v1'],
  onHandshake (conn, request) {
    same<Equal<typeof request.params, { room: string }>>()
    same<Equal<typeof request.query, { page: number }>>()
    same<Equal<typeof request.headers.authorization, string>>()
    same<Equal<typeof conn.request, typeof request>>()
    same<Equal<typeof this, typeof app>>()
    // @ts-expect-error the schema has no such parameter
    String(request.params.rooms)

    conn.acceptWith({ headers: { 'x-session': 's', 'x-count': 1 }, protocol: 'chat.v1' })
    // @ts-expect-error x-session is required, so the options are
    conn.acceptWith()
    // @ts-expect-error x-session is a string
    conn.acceptWith({ headers: { 'x-session': 1 } })
    // @ts-expect-error x-other is not declared
    conn.acceptWith({ headers: { 'x-session': 's', 'x-other': 's' } })
    // @ts-expect-error chat.v3 is not one of the protocols
    conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'chat.v3' })

    conn.reject({ code: 401, body: { error: 'authorization required' } })
    // @ts-expect-error the body of a 401 has another shape
    conn.reject({ code: 401, body: { wrong: 1 } })
    conn.reject({ code: 409, body: { taken: 'by ann' } })
    conn.reject({ code: 409, body: { locked: true } })
    // @ts-expect-error the body of a 409 has one of two shapes
    conn.reject({ code: 409, body: { locked: 'by ann' } })
    conn.reject({ code: 429, headers: { 'retry-after': 5 }, body: { wait: 5 } })
    // @ts-expect-error retry-after is required for 429, so the headers are
    conn.reject({ code: 429 })
    // @ts-expect-error the body of a 429 has another shape
    conn.reject({ code: 429, headers: { 'retry-after': 5 }, body: { error: 'too many' } })
    conn.reject({ code: 503, body: 'later' })
    // @ts-expect-error the body of a 5xx is a string
    conn.reject({ code: 503, body: { error: 'later' } })
    conn.reject({ code: 404, body: { any: 'thing' } })
  },
  onConnection (conn) { same<Equal<typeof conn.request.query.page, number>>() },
  handler (_request, reply) {
    // @ts-expect-error the body of a 200 has another shape
    reply.code(200).send({ offline: 1 })
    reply.code(200).send({ online: 1 })
  }
})

const plugin: FastifyPluginAsyncZod = async (app) => {
  app.websocketRoute('/plugin', {
    schema: { params: z.object({ room: z.string() }) },
    onConnection (conn) { same<Equal<typeof conn.request.params, { room: string }>>() }
  })
}
app.register(plugin)
