// What happens to those who write to reply.raw themselves.
import { once } from 'node:events'
import t from 'tap'
import { startApp } from '../support/app.ts'
import { connectRefused } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { field, handshake, RawClient } from '../support/raw.ts'

t.test('a hijacked reply is a refusal like any other', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/object', {
      onRequest: async (_request, reply) => { reply.hijack(); reply.raw.writeHead(402, { Connection: 'keep-alive', 'X-A': 'b' }).end('mine') },
      onConnection () { t.fail('opened') }
    })
    app.websocketRoute('/list', {
      onRequest: async (_request, reply) => { reply.hijack(); reply.raw.writeHead(402, 'My Reason', ['X-A', 'b', 'Set-Cookie', 'c=1', 'Set-Cookie', 'd=2', 'Upgrade', 'TLS/1.0']).end('mine') },
      onConnection () { t.fail('opened') }
    })
    app.websocketRoute('/implicit', {
      onRequest: async (_request, reply) => { reply.hijack(); reply.raw.statusCode = 402; reply.raw.setHeader('x-a', 'b'); reply.raw.write('mi'); reply.raw.end('ne') },
      onConnection () { t.fail('opened') }
    })
  })
  for (const path of ['/object', '/list', '/implicit']) {
    const { status, headers, body } = await connectRefused(t, `ws://127.0.0.1:${port}${path}`)
    t.same([status, headers['x-a'], body], [402, 'b', 'mine'], path)
    t.equal(headers.connection, path === '/list' ? 'close, Upgrade' : 'close', path)
  }
  const client = await RawClient.connect(t, port)
  client.write(handshake('/list'))
  t.match((await client.wholeResponse()), { status: 402 })
  t.match(client.received.toString(), /^HTTP\/1\.1 402 My Reason\r\n[^]*Set-Cookie: c=1\r\nSet-Cookie: d=2\r\n/)
})

t.test('what is written after the end is dropped', async (t) => {
  const failed = deferred<Error>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onRequest: async (_request, reply) => {
        reply.hijack()
        reply.raw.writeHead(402).end('mine')
        reply.raw.write('late', (error) => failed.resolve(error as Error))
      },
      onConnection () {}
    })
  })
  t.match(await connectRefused(t, `ws://127.0.0.1:${port}/`), { status: 402, body: 'mine' })
  t.match(await failed.promise, { code: 'ERR_STREAM_WRITE_AFTER_END' })
})

t.test('headers may be written twice for a client that has gone', async (t) => {
  const begun = deferred()
  const gone = deferred()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onRequest: async (request, reply) => {
        reply.hijack()
        reply.raw.writeHead(402).flushHeaders()
        const left = once(request.raw, 'close')
        begun.resolve()
        await left
        t.doesNotThrow(() => reply.raw.writeHead(500))
        gone.resolve()
      },
      onConnection () {}
    })
  })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/'))
  await begun.promise
  client.socket.destroy()
  await gone.promise
})

t.test('headers cannot be written twice', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/refused', {
      onRequest: async (_request, reply) => {
        reply.hijack()
        reply.raw.writeHead(402, { 'content-length': 0 })
        for (const status of [101, 403]) t.throws(() => reply.raw.writeHead(status), { code: status === 101 ? /./ : 'ERR_HTTP_HEADERS_SENT' })
        reply.raw.end()
      },
      onConnection () {}
    })
    app.websocketRoute('/accepted', {
      onResponse: async (_request, reply) => {
        t.equal(reply.raw.headersSent, true)
        t.equal(reply.raw.writableEnded, true)
        t.equal(reply.sent, true)
        for (const status of [101, 403]) t.throws(() => reply.raw.writeHead(status), { code: 'ERR_HTTP_HEADERS_SENT' })
        t.doesNotThrow(() => reply.raw.end())
      },
      onConnection (conn) { conn.send('still fine') }
    })
  })
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/refused`)).status, 402)
  const client = await RawClient.connect(t, port)
  client.write(handshake('/accepted'))
  await client.until((bytes) => bytes.includes('still fine'))
  t.equal(field(await client.head(), 'connection'), 'Upgrade')
})

t.test('a refusal without a body, and early hints before it', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onRequest: async (_request, reply) => { reply.writeEarlyHints({ link: '</style.css>; rel=preload' }, () => {}) },
      onHandshake (conn) { conn.reject({ code: 304 }) }
    })
  })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/'))
  await client.untilEnd()
  t.match(client.received.toString(), /^HTTP\/1\.1 103 Early Hints[^]*HTTP\/1\.1 304 Not Modified[^]*\r\n\r\n$/)
})

t.test('a refusal whose body comes later is not cut off by a client that half-closes meanwhile', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onRequest (request, reply) {
        reply.hijack()
        reply.raw.writeHead(402, { 'content-length': 4 }).write('mi')
        request.raw.socket.once('end', () => { setImmediate(() => reply.raw.end('ne')) })
      },
      onConnection () {}
    })
  })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/'))
  await client.until((bytes) => bytes.includes('\r\n\r\nmi'))
  client.socket.end()
  await client.untilEnd()
  t.match(client.received.toString(), /\r\n\r\nmine$/)
})
