// @ts-check
// A server that ends within a turn of the event loop in which it has sent messages. It prints its port.
import Fastify from 'fastify'
import websocket from 'fastify-websocket-route'

const app = Fastify()
await app.register(websocket)
app.websocketRoute('/', {
  onMessage (conn, message) {
    for (let i = 0; i < 3; i++) conn.send(`last ${i}`)
    if (message === 'exit') process.exit(0)
    // Uncaught: no callback of the plugin is below it.
    if (message === 'throw') process.nextTick(() => { throw new Error('the application is broken') })
  }
})
await app.listen({ port: 0, host: '127.0.0.1' })
// For the test, which connects to it.
console.log(app.addresses()[0]?.port)
