// Middleware of express and connect: it swaps prototypes, wraps and replaces methods, and answers by itself. A handshake comes to the
// same end as a plain request does.
import { once } from 'node:events'
import { type IncomingMessage, ServerResponse } from 'node:http'
import express from '@fastify/express'
import middie from '@fastify/middie'
import compression from 'compression'
import type { FastifyInstance } from 'fastify'
import onHeaders from 'on-headers'
import t, { type Test } from 'tap'
import websocket from '../../index.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { connect, connectRefused, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { sinceFastify } from '../support/fastify-version.ts'
import { handshake, parseHead, RawClient } from '../support/raw.ts'

type Middleware = (request: IncomingMessage, response: ServerResponse, next: (error?: Error) => void) => void

const plugins: Record<string, (app: FastifyInstance) => PromiseLike<unknown>> = {
  express: (app) => app.register(express),
  middie: (app) => app.register(middie)
}

/** Starts an app with middleware; `isFirst` says whether it comes before the plugin. */
async function start (t: Test, name: string, isFirst: boolean, middleware: Middleware | null, options: object = {}): Promise<TestApp> {
  const addMiddleware = async (app: FastifyInstance): Promise<void> => {
    await plugins[name]?.(app)
    if (middleware !== null) (app as unknown as { use (middleware: Middleware): void }).use(middleware)
  }
  return await startApp(t, async (app) => {
    if (isFirst) await addMiddleware(app)
    await app.register(websocket, options)
    if (!isFirst) await addMiddleware(app)
    app.addHook('onSend', async (_request, reply) => { reply.header('x-hook', 'ran') })
    app.websocketRoute('/echo', { onMessage (conn, message) { conn.sendMessage(message) } })
    app.websocketRoute('/async', { onHandshake: async () => { await null }, onMessage (conn, message) { conn.sendMessage(message) } })
    app.websocketRoute('/reject', { onHandshake (conn) { conn.reject({ code: 401, body: { no: 'entry' } }) } })
    app.websocketRoute('/error', { onHandshake () { throw new Error('on purpose') } })
    app.get('/plain', async () => ({ plain: true }))
  }, { withoutPlugin: true })
}

async function inAllOrders (t: Test, middleware: Middleware | null, check: (t: Test, port: number, app: FastifyInstance) => Promise<void>): Promise<void> {
  for (const name of Object.keys(plugins)) {
    for (const isFirst of [true, false]) {
      await t.test(`${name} ${isFirst ? 'before' : 'after'} the plugin`, async (t) => {
        const { app, port } = await start(t, name, isFirst, middleware)
        await check(t, port, app)
      })
    }
  }
}

async function checkAll (t: Test, port: number): Promise<void> {
  for (const path of ['/echo', '/async']) {
    const { socket, headers } = await connect(t, `ws://127.0.0.1:${port}${path}`)
    t.match([headers.upgrade, headers.connection, headers['x-hook']], ['websocket', 'Upgrade', 'ran'])
    socket.send('hello')
    t.equal(await nextMessage(socket), 'hello')
    socket.close()
    await once(socket, 'close')
  }
  t.match(await connectRefused(t, `ws://127.0.0.1:${port}/reject`), { status: 401, body: '{"no":"entry"}', headers: { connection: 'close', 'x-hook': 'ran' } })
  t.match(await connectRefused(t, `ws://127.0.0.1:${port}/error`), { status: 500, body: /on purpose/, headers: { connection: 'close' } })
  for (const path of ['/plain', '/none', '/%zz']) {
    const plain = await fetch(`http://127.0.0.1:${port}${path}`)
    t.match(await connectRefused(t, `ws://127.0.0.1:${port}${path}`), { status: plain.status, body: await plain.text() }, path)
  }
}

t.test('middleware that does nothing but to be there', async (t) => {
  await inAllOrders(t, null, checkAll)
  await inAllOrders(t, (_request, _response, next) => next(), checkAll)
})

t.test('middleware that gives request and response another prototype', async (t) => {
  await inAllOrders(t, (request, response, next) => {
    for (const message of [request, response]) Object.setPrototypeOf(message, Object.create(Object.getPrototypeOf(message) as object))
    next()
  }, checkAll)
})

t.test('middleware that wraps writeHead(), end(), write() and setHeader()', async (t) => {
  const calls = new Set<string>()
  await inAllOrders(t, (_request, response, next) => {
    const target = response as unknown as Record<string, (...args: unknown[]) => unknown>
    for (const name of ['writeHead', 'end', 'write', 'setHeader']) {
      const method = target[name]
      target[name] = function (this: unknown, ...args: unknown[]) {
        calls.add(name)
        return Reflect.apply(method as () => unknown, this, args)
      }
    }
    next()
  }, checkAll)
  t.ok(calls.has('writeHead') && calls.has('end'))
})

t.test('middleware that sets headers when they are about to be written', async (t) => {
  await inAllOrders(t, (_request, response, next) => {
    onHeaders(response, function (this: ServerResponse) { this.setHeader('x-late', 'yes') })
    next()
  }, async (t, port) => {
    await checkAll(t, port)
    t.equal((await connect(t, `ws://127.0.0.1:${port}/echo`)).headers['x-late'], 'yes')
    t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/reject`)).headers['x-late'], 'yes')
  })
})

const compress = compression({ threshold: 0 }) as Middleware

t.test('middleware that compresses', async (t) => {
  for (const isFirst of [true, false]) await checkAll(t, (await start(t, 'middie', isFirst, compress)).port)
})

const SPOILT = 'middleware that does not get on with the plugin that runs it spoils handshakes as it spoils plain requests'
t.test(SPOILT, sinceFastify('5.12.8', 'nobody catches that a head is written twice'), async (t) => {
  for (const isFirst of [true, false]) {
    const spoilt = await start(t, 'express', isFirst, compress)
    for (const path of ['/echo', '/async', '/reject', '/plain']) {
      await t.rejects(fetch(`http://127.0.0.1:${spoilt.port}${path}`), 'plain')
      await t.rejects(connect(t, `ws://127.0.0.1:${spoilt.port}${path}`), { message: 'socket hang up' }, path)
    }
    await eventually(() => spoilt.app.websockets.stats.pending === 0)
  }
})

t.test('middleware that answers by itself', async (t) => {
  const answers: Record<string, (response: ServerResponse) => void> = {
    'by end()': (response) => { response.statusCode = 402; response.end('pay') },
    'by writeHead() and end()': (response) => { response.writeHead(402, { 'content-type': 'text/plain' }).end('pay') },
    'by write()': (response) => { response.statusCode = 402; response.write('p'); response.end('ay') },
    'in headers of pairs': (response) => { response.writeHead(402, 'Pay', ['x-a', '1', 'x-b', '2']); response.end('pay') },
    'by the methods of the class': (response) => {
      ServerResponse.prototype.writeHead.call(response, 402, { connection: 'close' })
      Reflect.apply(ServerResponse.prototype.end as () => unknown, response, ['pay'])
    }
  }
  for (const [name, answer] of Object.entries(answers)) {
    await t.test(name, async (t) => {
      await inAllOrders(t, (_request, response, _next) => answer(response), async (t, port, app) => {
        t.match(await connectRefused(t, `ws://127.0.0.1:${port}/echo`), { status: 402, body: 'pay', headers: { connection: 'close' } })
        await eventually(() => app.websockets.stats.pending === 0)
        t.match(app.websockets.stats, { refused: { 402: 1 }, aborted: 0 })
      })
    })
  }
})

t.test('middleware that fails', async (t) => {
  await inAllOrders(t, (_request, _response, next) => next(Object.assign(new Error('not today'), { statusCode: 418 })), async (t, port) => {
    t.match(await connectRefused(t, `ws://127.0.0.1:${port}/echo`), { status: 418, body: /not today/ })
  })
})

t.test('middleware that swallows the end of the answer', async (t) => {
  for (const name of Object.keys(plugins)) {
    const { app, port } = await start(t, name, true, (_request, response, next) => {
      response.end = () => response
      next()
    }, { handshakeTimeout: 20 })
    for (const path of ['/echo', '/async', '/reject']) {
      const client = await RawClient.connect(t, port)
      client.write(handshake(path))
      t.equal((await client.untilEnd()).includes('101'), false)
    }
    await eventually(() => app.websockets.stats.pending === 0)
  }
})

t.test('middleware that writes when the time-out has answered', async (t) => {
  for (const name of Object.keys(plugins)) {
    const isWritten = deferred()
    const { port } = await start(t, name, true, (request, response) => {
      request.on('close', () => setImmediate(() => {
        response.write('late')
        response.writeHead(200)
        response.end('later')
        setImmediate(isWritten.resolve)
      }))
    }, { handshakeTimeout: 20 })
    const client = await RawClient.connect(t, port)
    client.write(handshake('/echo'))
    t.match(parseHead(await client.untilEnd()), { status: 503, body: /^\{"error":"Service Unavailable".*503\}$/ })
    await isWritten.promise
  }
})
