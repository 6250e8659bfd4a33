import t from 'tap'
import { HeaderPool } from '../../lib/handshake/shared-headers.ts'
import { startApp } from '../support/app.ts'
import { handshake, RawClient } from '../support/raw.ts'

type Request = Parameters<HeaderPool['share']>[0]

function request (rawHeaders: string[], headers: Record<string, string>): Request {
  return { rawHeaders, headers, httpVersion: '1.1', rawTrailers: [] } as unknown as Request
}

t.test('changes nothing that can be seen', async (t) => {
  const { app, port } = await startApp(t, (app) => { app.websocketRoute('/', { onConnection () {} }) })
  const headers = { 'User-Agent': 'a browser', Cookie: 'session=1', 'X-Twice': ['1', '2'], 'Sec-WebSocket-Protocol': ['a', 'b'], Host: 'A.example' }
  for (let i = 0; i < 2; i++) {
    const client = await RawClient.connect(t, port)
    client.write(handshake('/', headers))
    t.equal((await client.head()).status, 101)
  }
  const [one, other] = [...app.websockets].map(({ request }) => request.raw)
  t.same(one?.rawHeaders, other?.rawHeaders)
  t.same(one?.headers, other?.headers)
  t.match(one, { httpVersion: '1.1', rawTrailers: [] })
  t.match(one?.headers, { 'user-agent': 'a browser', cookie: 'session=1', 'x-twice': '1, 2', 'sec-websocket-protocol': 'a, b', host: 'A.example', upgrade: 'websocket' })
  t.same(one?.rawHeaders.filter((_, i) => i % 2 === 0).slice(0, 5), ['Host', 'Upgrade', 'Connection', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version'])
})

t.test('keeps no secret, nothing long, and no more than 1000 strings and names', async (t) => {
  const pool = new HeaderPool()
  const long = 'x'.repeat(257)
  pool.share(request(['Cookie', 'secret', 'Authorization', 'secret', 'User-Agent', long], { 'user-agent': long }))
  t.equal(pool.size, 4, 'the version, and the names')
  let most = 0
  for (let i = 0; i < 5000; i++) {
    pool.share(request(['User-Agent', `agent ${i}`, `X-${i}`, 'x'], { 'user-agent': `agent ${i}`, [`x-${i}`]: 'x' }))
    most = Math.max(most, pool.size)
  }
  t.ok(most > 1990 && most <= 2000, `${most}`)
})

t.test('gives two requests the same string', async (t) => {
  const pool = new HeaderPool()
  const requests = [0, 1].map(() => request(['Host', 'a'], { host: 'a' }))
  for (const one of requests) pool.share(one)
  t.same(requests, [request(['Host', 'a'], { host: 'a' }), request(['Host', 'a'], { host: 'a' })])
})
