// The body of a refusal arrives whole, however large it is and however slowly it is read.
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t, { type Test } from 'tap'
import { startApp, type TestApp } from '../support/app.ts'
import { connectRefused } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { handshake, RawClient } from '../support/raw.ts'

const SIZE = 8 * 1024 * 1024 // more than any socket holds
const CHUNK = 65_536

let chunksMade = 0

function * chunks (): Generator<Buffer> {
  for (let i = 0; i < SIZE / CHUNK; i++) {
    chunksMade++
    yield Buffer.alloc(CHUNK, 'x')
  }
}

async function start (t: Test, plugin = {}): Promise<TestApp> {
  return await startApp(t, (app) => {
    app.websocketRoute('/stream', { onHandshake (conn) { conn.reject({ body: Readable.from(chunks()) }) } })
    app.websocketRoute('/late', { async onHandshake (conn) { await null; conn.reject({ body: Readable.from(chunks()) }) } })
    app.websocketRoute('/web', { onHandshake (conn) { conn.reject({ body: Readable.toWeb(Readable.from(chunks())) }) } })
    app.websocketRoute('/response', {
      onHandshake (conn) { conn.reject({ body: new Response(Readable.toWeb(Readable.from(chunks())) as ReadableStream, { status: 403 }) }) }
    })
    app.websocketRoute('/buffer', { onHandshake (conn) { conn.reject({ body: Buffer.concat([...chunks()]) }) } })
    app.websocketRoute('/parts', {
      onConnection () {},
      async onRequest (_request, reply) {
        reply.hijack()
        reply.raw.statusCode = 403
        const parts = [...chunks()]
        await pipeline(Readable.from(parts.slice(1)), reply.raw, { end: false })
        // One that looks whether there is room before it begins.
        Readable.from(parts.slice(0, 1)).pipe(reply.raw)
      }
    })
    app.websocketRoute('/hook', { onConnection () {}, async preHandler (_request, reply) { return await reply.code(403).send(Readable.from(chunks())) } })
    app.get('/plain', (_request, reply) => reply.code(403).send(Readable.from(chunks())))
    app.setNotFoundHandler((_request, reply) => { void reply.code(403).send(Readable.from(chunks())) })
  }, { plugin })
}

const PATHS = ['/stream', '/late', '/web', '/response', '/buffer', '/parts', '/hook', '/plain', '/none']

t.test('arrives whole', async (t) => {
  const { app, port } = await start(t)
  for (const path of PATHS) {
    const { status, body } = await connectRefused(t, `ws://127.0.0.1:${port}${path}`)
    t.same([status, body.length], [403, SIZE], path)
  }
  t.match(app.websockets.stats, { pending: 0, aborted: 0, refused: { 403: PATHS.length } })
})

t.test('arrives whole at a client that takes longer than handshakeTimeout to read it', async (t) => {
  const { port } = await start(t, { handshakeTimeout: 2_000 })
  await Promise.all(['/stream', '/buffer'].map(async (path) => {
    const client = await RawClient.connect(t, port)
    client.socket.on('end', () => client.socket.end())
    client.write(handshake(path))
    const begin = performance.now()
    client.socket.on('data', () => {
      client.socket.pause()
      setTimeout(() => client.socket.resume(), 20)
    })
    t.equal((await client.untilEnd()).toString('latin1').replaceAll(/[^x]/g, '').length >= SIZE, true, path)
    t.ok(performance.now() - begin > 2_000, 'slowly')
  }))
})

t.test('a client that stops reading is cut off after handshakeTimeout', async (t) => {
  const { app, port } = await start(t, { handshakeTimeout: 30 })
  for (const path of PATHS) {
    const client = await RawClient.connect(t, port)
    client.socket.pause()
    client.write(handshake(path))
  }
  await eventually(() => app.websockets.stats.refused[403] === PATHS.length)
  const left = async (): Promise<number> => await new Promise((resolve) => { app.server.getConnections((_error, count) => resolve(count)) })
  while (await left() > 0) await new Promise((resolve) => setTimeout(resolve, 5))
})

t.test('no more of it is made than the client reads', async (t) => {
  const { port } = await start(t)
  chunksMade = 0
  const client = await RawClient.connect(t, port)
  client.write(handshake('/stream'))
  await client.head()
  client.socket.pause()
  await fetch(`http://127.0.0.1:${port}/plain`).then(async (response) => await response.text())
  t.ok(chunksMade < 2 * SIZE / CHUNK, 'one was read, the other one waits')
  client.socket.resume()
  await client.untilEnd()
})
