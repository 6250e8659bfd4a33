// With plain JSON Schema, written in place.
import type { JsonSchemaToTsProvider } from '@fastify/type-provider-json-schema-to-ts'
import Fastify from 'fastify'
import websocket from '../../index.ts'
import { type Equal, same } from './same.ts'

const app = Fastify().withTypeProvider<JsonSchemaToTsProvider>()
await app.register(websocket)

app.websocketRoute('/:room', {
  schema: {
    params: { type: 'object', required: ['room'], properties: { room: { type: 'string' } }, additionalProperties: false },
    querystring: { type: 'object', required: ['n'], properties: { n: { type: 'number' } }, additionalProperties: false },
    response: {
      101: { headers: { type: 'object', required: ['x-session'], properties: { 'x-session': { type: 'string' } }, additionalProperties: false } },
      401: { type: 'object', required: ['error'], properties: { error: { type: 'string' } }, additionalProperties: false }
    }
  },
  protocols: ['a'],
  onHandshake (conn, request) {
    same<Equal<typeof request.params, { room: string }>>()
    same<Equal<typeof request.query.n, number>>()
    conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'a' })
    // @ts-expect-error the headers are required
    conn.acceptWith()
    // @ts-expect-error x-session is a string
    conn.acceptWith({ headers: { 'x-session': 1 } })
    // @ts-expect-error b is not one of the protocols
    conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'b' })
    conn.reject({ code: 401, body: { error: 'no' } })
    // @ts-expect-error not what is declared for 401
    conn.reject({ code: 401, body: { wrong: 1 } })
    conn.reject({ code: 404, body: { anything: 1 } })
  }
})
