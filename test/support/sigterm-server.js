// @ts-check
// A server in a process of its own that ends as a deployed one does: SIGTERM closes it, and then nothing holds the process.
import Fastify from 'fastify'
import websocket from 'fastify-websocket-route'

/** @type {(value?: undefined) => void} */
let finish = () => {}
const closing = new Promise((resolve) => { finish = resolve })

const app = Fastify()
await app.register(websocket)
app.websocketRoute('/', { onMessage (conn, message) { conn.sendMessage(message) } })
app.websocketRoute('/pending', { onHandshake: async () => { await new Promise(() => {}) } })
app.get('/running', async () => {
  await closing
  return 'done'
})
app.get('/stats', async () => app.websockets.stats)
process.once('SIGTERM', () => {
  void app.close()
  // The request is still running when everything else is gone.
  setTimeout(finish, 200)
})
await app.listen({ port: 0, host: '127.0.0.1' })
process.send?.({ port: app.addresses()[0]?.port })
