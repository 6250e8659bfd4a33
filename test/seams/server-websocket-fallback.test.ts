// Where ws does not open a socket that is there already, a handshake is answered by hand. In a process of its own: it is tried once.
import t from 'tap'
import { WebSocketServer } from 'ws'
import { startApp } from '../support/app.ts'
import { connectRefused } from '../support/client.ts'

t.test('every handshake gets 503, and it is said once', async (t) => {
  const { handleUpgrade } = WebSocketServer.prototype
  t.teardown(() => { WebSocketServer.prototype.handleUpgrade = handleUpgrade })
  WebSocketServer.prototype.handleUpgrade = () => {}
  const { port, logs } = await startApp(t, (app) => { app.websocketRoute('/', { onHandshake () { t.fail('ran') } }) })
  const url = `ws://127.0.0.1:${port}/`
  t.match([await connectRefused(t, url), await connectRefused(t, url)], [{ status: 503 }, { status: 503 }])
  t.match(logs.filter(({ level }) => level === 50), [{ msg: /^ws opens sockets in another way/ }])
})
