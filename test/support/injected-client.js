// @ts-check
// A test that has forgotten to close: its client is open, somebody waits for its end, and nothing else is going on.
import Fastify from 'fastify'
import websocket from 'fastify-websocket-route'

const app = Fastify()
await app.register(websocket)
app.websocketRoute('/', { onMessage (conn, message) { conn.sendMessage(message) } })
const client = await app.injectWebSocket('/')
client.send('hello')
console.log(await client.next())
void client.closed.then(() => console.log('closed'))
// What waits for a message is told that there is none, before the process ends.
await client.next({ timeout: 50 }).catch((error) => console.log(error.code))
