// What stands in the first line of a handshake: the version of HTTP, and the target in each of its forms.
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { startApp } from '../support/app.ts'
import { field, handshake, parseHead, RawClient, type RawResponse } from '../support/raw.ts'

async function ask (t: Test, port: number, requestLine: string, headers: Record<string, string> = {}): Promise<RawResponse> {
  const client = await RawClient.connect(t, port)
  client.socket.on('end', () => client.socket.end())
  client.write(handshake('', headers, requestLine))
  const response = await client.head()
  return response.status === 101 ? response : parseHead(await client.untilEnd())
}

t.test('only HTTP/1.1 gets a 101', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onHandshake () { t.fail('ran') } })
  })
  for (const version of ['0.9', '1.0', '2.0']) {
    const response = await ask(t, port, `GET / HTTP/${version}`)
    t.match([response.status, response.body, field(response, 'upgrade'), field(response, 'connection')], [426, /FST_ERR_WS_HTTP_VERSION/, 'websocket', 'close, Upgrade'], version)
  }
  for (const version of ['1.2', '3.0', '9.9']) t.equal((await ask(t, port, `GET / HTTP/${version}`)).status, 400, version)
})

t.test('a 426 says what to upgrade to, whoever answers it', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/reject', { onHandshake (conn) { conn.reject({ code: 426 }) } })
    app.websocketRoute('/hook', { onConnection () {}, onRequest: async (_request, reply) => await reply.code(426).header('Upgrade', 'mine').send('no') })
    app.get('/plain', (_request, reply) => reply.code(426).send('no'))
  })
  for (const [path, upgrade] of [['/reject', 'websocket'], ['/hook', 'mine'], ['/plain', 'websocket']] as const) {
    const response = await ask(t, port, `GET ${path} HTTP/1.1`)
    t.match([response.status, field(response, 'upgrade'), field(response, 'connection')], [426, upgrade, 'close, Upgrade'], path)
  }
})

t.test('a target that is a whole URL is routed by its path, and names the host', async (t) => {
  const seen: unknown[] = []
  const { app, port } = await startApp(t, (app) => {
    for (const path of ['/', '/room/:id']) {
      app.websocketRoute(path, { onHandshake (_conn, { url, host, params, query }) { seen.push([url, host, params, query]) } })
    }
    app.websocketRoute('/host', { constraints: { host: 'named.example' }, onConnection () {} })
  })
  const targets: Array<[target: string, url: string, host: string, params: object, query: object]> = [
    ['http://named.example/room/1?a=b', '/room/1?a=b', 'named.example', { id: '1' }, { a: 'b' }],
    ['HTTPS://named.example:8080/room/2', '/room/2', 'named.example:8080', { id: '2' }, {}],
    ['ws://[::1]:80/room/3', '/room/3', '[::1]:80', { id: '3' }, {}],
    ['wss://user:secret@named.example/', '/', 'named.example', {}, {}],
    ['http://named.example', '/', 'named.example', {}, {}],
    ['http://named.example?a=b', '/?a=b', 'named.example', {}, { a: 'b' }]
  ]
  const check = async (): Promise<void> => {
    for (const [target, ...expected] of targets) {
      t.equal((await ask(t, port, `GET ${target} HTTP/1.1`)).status, 101, target)
      t.same(seen.pop(), expected)
    }
    t.equal((await ask(t, port, 'GET http://named.example/host HTTP/1.1', { Origin: 'http://named.example' })).status, 101)
    t.equal((await ask(t, port, 'GET http://other.example/host HTTP/1.1', { Host: 'named.example' })).status, otherwise)
    t.equal((await ask(t, port, 'GET http://named.example/none HTTP/1.1')).status, otherwise)
    t.equal((await ask(t, port, 'GET http:///room/1 HTTP/1.1')).status >= 400, true)
  }
  let otherwise = 404
  await check()
  app.server.on('upgrade', (_request: IncomingMessage, socket: Socket) => { socket.end('HTTP/1.1 418 Theirs\r\n\r\n') })
  otherwise = 418
  await check()
})
