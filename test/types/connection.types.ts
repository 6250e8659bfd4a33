// A connection is a WebSocket of ws, and whatever its route has declared, it is a WebSocketConnection.
import Fastify, { type FastifyBaseLogger, type FastifyRequest } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { createWebSocketStream, WebSocket } from 'ws'
import type { AcceptOptions, HeaderRecord, HeaderValue, RejectOptions, WebSocketConnection } from '../../index.ts'
import { type Equal, same } from './same.ts'

const plain = Fastify()
const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()

const schema = {
  params: Type.Object({ room: Type.String() }),
  headers: Type.Object({ authorization: Type.String() }),
  response: { 101: { headers: Type.Object({ 'x-session': Type.String() }) }, 401: Type.Object({ error: Type.String() }) }
}

// ---- helpers for any route ----------------------------------------------------------------------------------------------

function requireUser (conn: WebSocketConnection, request: FastifyRequest): void {
  if (request.headers.authorization === undefined) conn.reject({ code: 401, body: { error: 'authorization required' } })
}

function greet (socket: WebSocket): void {
  socket.send('hello')
}

app.websocketRoute('/rooms/:room', {
  schema,
  protocols: ['chat.v2', 'chat.v1'],
  onHandshake (conn, request) {
    requireUser(conn, request)
    new Set<WebSocketConnection>().add(conn)
  },
  onConnection (conn, request) {
    requireUser(conn, request)
    greet(conn)
    const socket: WebSocket = conn
    createWebSocketStream(socket).pipe(createWebSocketStream(conn))
  }
})

app.websocketRoute('/callbacks', { schema, onHandshake: requireUser, onConnection: greet })
app.websocketRoute('/callbacks', { onHandshake: requireUser, onConnection: greet })
plain.websocketRoute('/callbacks', { schema, onHandshake: requireUser, onConnection: greet })
plain.websocketRoute('/callbacks', { onHandshake: requireUser, onConnection: greet })

// ---- helpers for one schema ---------------------------------------------------------------------------------------------

function enter (conn: WebSocketConnection<typeof schema, TypeBoxTypeProvider>): string {
  // @ts-expect-error x-session is required, so the options are
  conn.acceptWith()
  // @ts-expect-error the body of a 401 has another shape
  conn.reject({ code: 401, body: { wrong: 1 } })
  conn.acceptWith({ headers: { 'x-session': conn.request.headers.authorization } })
  return conn.request.params.room
}

app.websocketRoute('/rooms/:room', { schema, onConnection: enter })
app.websocketRoute('/rooms/:room', { schema, protocols: ['chat.v2'], onConnection (conn) { enter(conn) } })
// @ts-expect-error without the schema there is no such parameter
app.websocketRoute('/rooms/:room', { onConnection: enter })
// @ts-expect-error with another schema there is no such parameter
app.websocketRoute('/rooms/:room', { schema: { params: Type.Object({ hall: Type.String() }) }, onConnection: enter })

// ---- what it has --------------------------------------------------------------------------------------------------------

plain.websocketRoute('/members', {
  onConnection (conn, request) {
    same<Equal<typeof conn.id, number>>()
    same<Equal<typeof conn.log, FastifyBaseLogger>>()
    same<Equal<typeof conn.offeredProtocols, readonly string[]>>()
    same<Equal<typeof conn.protocol, string>>()
    same<Equal<typeof conn.request.raw.headers.origin, string | undefined>>()
    // @ts-expect-error the id is read-only
    conn.id = 2
    // @ts-expect-error the request is read-only
    conn.request = request
    conn.on('message', (data, isBinary) => { conn.send(data, { binary: isBinary }) })
    conn.once('close', (code, reason) => { conn.log.info({ code, reason: reason.toString() }) })
    conn.close(1000, 'bye')
    conn.close()
    conn.terminate()
    if (conn.readyState === WebSocket.OPEN) conn.ping()
    // @ts-expect-error a close code is a number
    conn.close('1000')
  }
})

// ---- the options by themselves ------------------------------------------------------------------------------------------

const anyAccept: AcceptOptions = { headers: { 'x-any': ['thing'] }, protocol: 'any' }
const accept: AcceptOptions<typeof schema, TypeBoxTypeProvider, 'chat.v2'> = { headers: { 'x-session': 's' }, protocol: 'chat.v2' }
const anyReject: RejectOptions = { code: 401, body: 'anything', headers: { 'x-any': 1 } }
const reject: RejectOptions<typeof schema, TypeBoxTypeProvider, 401> = { code: 401, body: { error: 'no' } }
// @ts-expect-error x-session is required, so the headers are
const acceptWithout: AcceptOptions<typeof schema, TypeBoxTypeProvider, 'chat.v2'> = {}
// @ts-expect-error the body of a 401 has another shape
const wrongReject: RejectOptions<typeof schema, TypeBoxTypeProvider, 401> = { body: { wrong: 1 } }
const value: HeaderValue = true
const headers: HeaderRecord = { 'x-any': value }
// @ts-expect-error what is in a list is a string
export const list: HeaderValue = [1]

app.websocketRoute('/rooms/:room', {
  schema,
  protocols: ['chat.v2'],
  onHandshake (conn) {
    conn.acceptWith(accept)
    conn.reject(reject)
    conn.reject(anyReject)
    conn.reject({ code: 404, headers })
    conn.reject({ code: 404, logReason: 'no such room' })
    // @ts-expect-error: a string
    conn.reject({ code: 404, logReason: 404 })
    // @ts-expect-error x-session is required
    conn.acceptWith(anyAccept)
    conn.acceptWith(acceptWithout)
    conn.reject(wrongReject)
  }
})
