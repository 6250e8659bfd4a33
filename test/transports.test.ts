// The core cases over TLS and over a Unix socket.
import { once } from 'node:events'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import t from 'tap'
import { startApp } from './support/app.ts'
import { connect, connectRefused, nextMessage } from './support/client.ts'
import { cert, key } from './support/tls.ts'

const routes = (app: Parameters<Parameters<typeof startApp>[1]>[0]): void => {
  app.get('/plain', async (request) => ({ upgrade: request.headers.upgrade ?? null }))
  app.websocketRoute('/', {
    protocols: ['v1'],
    async onHandshake (conn) { await null; conn.acceptWith({ headers: { 'x-a': 'b' } }) },
    onConnection (conn) { conn.on('message', (data) => conn.send(data)) }
  })
  app.websocketRoute('/refused', { onHandshake (conn) { conn.reject({ code: 401, body: { no: true } }) } })
}

async function checkCore (t: Parameters<typeof connect>[0] & { equal (a: unknown, b: unknown): unknown }, url: (path: string) => string, options: object): Promise<void> {
  const { socket, headers } = await connect(t, url('/'), ['v1'], options)
  t.equal(headers['x-a'], 'b')
  t.equal(socket.protocol, 'v1')
  socket.send('hello')
  t.equal(await nextMessage(socket), 'hello')
  const refused = await connectRefused(t, url('/refused'), [], options)
  t.equal(refused.status, 401)
  t.equal(refused.body, '{"no":true}')
}

t.test('over TLS, and a request for another protocol gets its plain answer', async (t) => {
  const { port } = await startApp(t, routes, { server: { https: { key, cert } } as object })
  await checkCore(t, (path) => `wss://127.0.0.1:${port}${path}`, { ca: cert })
  const request = httpsRequest({ port, host: '127.0.0.1', ca: cert, path: '/plain', headers: { connection: 'upgrade', upgrade: 'h2c' } })
  request.end()
  const [response] = await once(request, 'response') as [import('node:http').IncomingMessage]
  t.equal(String(Buffer.concat(await response.toArray())), '{"upgrade":null}')
})

t.test('over a Unix socket', async (t) => {
  const path = join(t.testdir(), 'server.sock')
  await startApp(t, routes, { listen: { path } })
  await checkCore(t, (url) => `ws+unix://${path}:${url}`, {})
})
