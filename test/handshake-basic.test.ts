import t from 'tap'
import { startApp } from './support/app.ts'
import { connect, nextMessage } from './support/client.ts'

t.test('opens a connection', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onConnection (conn) { conn.on('message', (data) => conn.send(String(data))) } })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.send('hello')
  t.equal(await nextMessage(socket), 'hello')
})
