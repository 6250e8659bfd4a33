// @ts-check
// A server with an open connection, of which nothing but its heartbeat could keep the process alive.
import { once } from 'node:events'
import { connect } from 'node:net'
import Fastify from 'fastify'
import websocket from 'fastify-websocket-route'

const app = Fastify()
await app.register(websocket, { heartbeat: 2 ** 31 - 1 })
// What is printed tells the test that there was a connection.
app.websocketRoute('/', { onConnection () { console.log('open') } })
app.server.on('connection', (socket) => socket.unref())
await app.listen({ port: 0, host: '127.0.0.1' })
const client = connect(app.addresses()[0]?.port ?? 0, '127.0.0.1')
client.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n')
// The 101.
await once(client, 'data')
client.unref()
app.server.unref()
