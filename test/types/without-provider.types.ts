// Without a type provider: nothing is inferred, and everything can be called.
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import websocket, { type WebSocketConnection } from '../../index.ts'
import { type Equal, same } from './same.ts'

const app = Fastify()
await app.register(websocket)

app.websocketRoute('/', {
  onHandshake (conn, request) {
    same<Equal<typeof request.params, unknown>>()
    same<Equal<typeof this.server, FastifyInstance['server']>>()
    conn.acceptWith()
    conn.acceptWith({})
    conn.acceptWith({ headers: { 'x-a': 'b', 'x-n': 1, 'x-yes': true, 'set-cookie': ['a=1', 'b=2'] }, protocol: 'any' })
    // @ts-expect-error an object is no header value
    conn.acceptWith({ headers: { 'x-a': {} } })
    // @ts-expect-error no such option
    conn.acceptWith({ header: {} })
    conn.reject({ code: 401, body: { anything: [1] }, headers: { 'x-a': 'b' } })
    conn.reject({ body: new Response('text') })
    // @ts-expect-error a code is a number
    conn.reject({ code: '401' })
  },
  onConnection: async (conn, request) => { takes(conn, request) }
})

app.websocketRoute('/schema', {
  schema: { response: { 101: { headers: { type: 'object', required: ['x-session'] } }, 401: { type: 'object' } } },
  protocols: ['v1'],
  onHandshake (conn) {
    conn.acceptWith()
    conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'v1' })
    // @ts-expect-error v2 is not one of the protocols
    conn.acceptWith({ protocol: 'v2' })
    conn.reject({ code: 401, body: { anything: 1 } })
  }
})

function takes (conn: WebSocketConnection, request: FastifyRequest): void {
  request.log.info({ id: conn.id, offered: conn.offeredProtocols, state: conn.readyState })
  // @ts-expect-error the id stays
  conn.id = 5
}
