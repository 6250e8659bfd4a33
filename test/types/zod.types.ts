// With zod, whose types of input and output differ: what is given is checked as it is given.
import Fastify from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import websocket from '../../index.ts'
import { type Equal, same } from './same.ts'

const app = Fastify().withTypeProvider<ZodTypeProvider>()
await app.register(websocket)

app.websocketRoute('/:n', {
  schema: {
    params: z.object({ n: z.coerce.number() }),
    response: { 101: { headers: z.object({ 'x-session': z.string() }) }, 401: z.object({ error: z.string() }) }
  },
  onHandshake (conn, request) {
    same<Equal<typeof request.params, { n: number }>>()
    conn.acceptWith({ headers: { 'x-session': 's' } })
    // @ts-expect-error x-session is required
    conn.acceptWith({ headers: {} })
    conn.reject({ code: 401, body: { error: 'no' } })
    // @ts-expect-error not what is declared for 401
    conn.reject({ code: 401, body: { wrong: 1 } })
  }
})
