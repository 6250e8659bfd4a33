// Plugins of the Fastify ecosystem, as they are published: what they do to a request they do to a handshake, on the 101
// as on a refusal.
import { EventEmitter, on } from 'node:events'
import bearerAuth from '@fastify/bearer-auth'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import rateLimit from '@fastify/rate-limit'
import requestContext from '@fastify/request-context'
import sensible from '@fastify/sensible'
import session from '@fastify/session'
import { context, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { FastifyError, FastifyInstance, FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { startApp, type TestApp } from './support/app.ts'
import { connect, connectRefused, nextMessage } from './support/client.ts'
import { deferred } from './support/deferred.ts'
import { field, handshake, RawClient } from './support/raw.ts'

declare module 'fastify' {
  interface Session { user?: string }
}

declare module '@fastify/request-context' {
  interface RequestContextData { user: string }
}

interface EcosystemApp extends TestApp {
  /** The address of the server, for a WebSocket client and for `fetch()`. */
  ws: string
  http: string
  /** The status that the next onResponse hook sees; none is missed. */
  nextStatus: () => Promise<number>
}

/** Starts a server whose answers are noted by an onResponse hook. */
async function start (t: Test, build: (app: FastifyInstance) => unknown, server: FastifyServerOptions = {}): Promise<EcosystemApp> {
  const answers = new EventEmitter()
  const statuses = on(answers, 'status')
  const test = await startApp(t, async (app) => {
    app.addHook('onResponse', async (_request, reply) => { answers.emit('status', reply.statusCode) })
    await build(app)
  }, { server })
  const nextStatus = async (): Promise<number> => ((await statuses.next()).value as [number])[0]
  return { ...test, ws: `ws://127.0.0.1:${test.port}`, http: `http://127.0.0.1:${test.port}`, nextStatus }
}

/** A Cookie header from Set-Cookie headers. */
function cookiesOf (setCookie: string[] = []): string {
  return setCookie.map((line) => line.split(';')[0]).join('; ')
}

t.test('@fastify/cookie', async (t) => {
  t.test('sends every cookie that hooks and acceptWith set on a line of its own on the 101', async (t) => {
    const { ws, nextStatus } = await start(t, async (app) => {
      await app.register(cookie)
      app.addHook('onRequest', async (_request, reply) => { reply.setCookie('theme', 'dark', { path: '/', httpOnly: true }) })
      app.addHook('preHandler', async (_request, reply) => { reply.setCookie('lang', 'de') })
      app.addHook('onSend', async (_request, reply) => { reply.setCookie('sent', '1') })
      app.websocketRoute('/', {
        onHandshake (conn) { conn.acceptWith({ headers: { 'set-cookie': ['ticket=t1', 'room=r1'] } }) }
      })
    })
    const { rawHeaders } = await connect(t, `${ws}/`)
    const lines = rawHeaders.filter((_value, i) => rawHeaders[i - 1]?.toLowerCase() === 'set-cookie')
    t.same(lines.sort(), [
      'lang=de; SameSite=Lax', 'room=r1', 'sent=1; SameSite=Lax', 'theme=dark; Path=/; HttpOnly; SameSite=Lax', 'ticket=t1'
    ])
    t.equal(await nextStatus(), 101)
  })

  t.test('sends the cookies that hooks set and clear with a refusal', async (t) => {
    const { ws, nextStatus } = await start(t, async (app) => {
      await app.register(cookie)
      app.addHook('preHandler', async (_request, reply) => { reply.setCookie('tries', '1').clearCookie('ticket') })
      app.websocketRoute('/', { onHandshake (conn) { conn.reject({ code: 401 }) } })
    })
    const { status, headers } = await connectRefused(t, `${ws}/`)
    t.equal(status, 401)
    t.same(headers['set-cookie'], ['tries=1; SameSite=Lax', 'ticket=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=Lax'])
    t.equal(await nextStatus(), 401)
  })

  t.test('parses the cookies of the client for onHandshake', async (t) => {
    const { app, ws } = await start(t, async (app) => {
      await app.register(cookie, { secret: 'a secret' })
      app.websocketRoute('/', {
        onHandshake (conn, { cookies, ...request }) {
          const { valid, value } = conn.request.unsignCookie(cookies.ticket ?? '')
          if (valid) conn.acceptWith({ headers: { 'x-ticket': value, 'x-lang': cookies.lang ?? '' } })
          else conn.reject({ code: 401 })
        }
      })
    })
    const { headers } = await connect(t, `${ws}/`, [], { headers: { cookie: `lang=de; ticket=${encodeURIComponent(app.signCookie('t1'))}` } })
    t.match(headers, { 'x-ticket': 't1', 'x-lang': 'de' })
    const { status } = await connectRefused(t, `${ws}/`, [], { headers: { cookie: 'ticket=t1.forged' } })
    t.equal(status, 401)
  })
})
