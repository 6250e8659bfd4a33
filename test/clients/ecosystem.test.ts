// Plugins of the Fastify ecosystem, as they are published: what they do to a request they do to a handshake, on the 101
// as on a refusal.
import { EventEmitter, on, once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
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
import { WebSocket } from 'ws'
import { startApp, type TestApp } from '../support/app.ts'
import { connect, connectRefused, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { field, handshake, RawClient } from '../support/raw.ts'

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

/** Connects to a route whose onConnection sends a message at once; resolves to that and to the headers of the 101. */
async function hear (t: Test, url: string, headers: Record<string, string> = {}): Promise<{ headers: IncomingHttpHeaders, message: string }> {
  const socket = new WebSocket(url, { headers })
  t.teardown(() => socket.terminate())
  const [[response], [data]] = await Promise.all([once(socket, 'upgrade'), once(socket, 'message')])
  return { headers: (response as IncomingMessage).headers, message: String(data) }
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
    t.match(headers['set-cookie'], ['tries=1; SameSite=Lax', /^ticket=; Max-Age=0; /])
    t.equal(await nextStatus(), 401)
  })

  t.test('parses the cookies of the client for onHandshake', async (t) => {
    const { app, ws } = await start(t, async (app) => {
      await app.register(cookie, { secret: 'a secret' })
      app.websocketRoute('/', {
        onHandshake (conn, request) {
          const { lang = '', ticket = '' } = request.cookies
          const { valid, value } = request.unsignCookie(ticket)
          if (valid) conn.acceptWith({ headers: { 'x-ticket': value, 'x-lang': lang } })
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

t.test('@fastify/session', async (t) => {
  const secret = 'a secret of at least 32 characters'

  // Two routes that write to the session, and one that answers with what it finds there.
  async function build (app: FastifyInstance): Promise<void> {
    await app.register(cookie)
    await app.register(session, { secret, cookie: { secure: false }, saveUninitialized: false })
    app.websocketRoute('/handshake', { onHandshake (_conn, request) { request.session.user = 'ann' } })
    app.websocketRoute('/hook', {
      preHandler: async (request) => { request.session.user = 'bob' },
      onHandshake () {}
    })
    app.websocketRoute('/refused', {
      onHandshake (conn, request) {
        request.session.user = 'eve'
        conn.reject({ code: 402 })
      }
    })
    app.websocketRoute('/connection', {
      onHandshake (_conn, request) { request.session.user = 'nobody yet' },
      async onConnection (conn, request) {
        request.session.user = 'dan'
        await request.session.save()
        conn.send('saved')
      }
    })
    app.websocketRoute('/user', {
      onHandshake (conn, request) { conn.acceptWith({ headers: { 'x-user': request.session.user ?? 'none' } }) },
      handler: async (request) => ({ user: request.session.user })
    })
  }

  for (const [path, user] of [['/handshake', 'ann'], ['/hook', 'bob']] as const) {
    t.test(`sets the session cookie on the 101 and finds what ${user === 'ann' ? 'onHandshake' : 'a hook'} wrote at the next request`, async (t) => {
      const { ws, http } = await start(t, build)
      const first = await connect(t, `${ws}${path}`)
      t.match(first.headers['set-cookie'], [/^sessionId=/])
      const headers = { cookie: cookiesOf(first.headers['set-cookie']) }
      t.equal((await connect(t, `${ws}/user`, [], { headers })).headers['x-user'], user)
      t.same(await (await fetch(`${http}/user`, { headers })).json(), { user })
    })
  }

  t.test('keeps what onHandshake wrote before it refused', async (t) => {
    const { ws } = await start(t, build)
    const { status, headers } = await connectRefused(t, `${ws}/refused`)
    t.equal(status, 402)
    const next = await connect(t, `${ws}/user`, [], { headers: { cookie: cookiesOf(headers['set-cookie']) } })
    t.equal(next.headers['x-user'], 'eve')
  })

  t.test('saves what onConnection writes when it asks for that', async (t) => {
    const { ws } = await start(t, build)
    const { headers, message } = await hear(t, `${ws}/connection`)
    t.equal(message, 'saved')
    const next = await connect(t, `${ws}/user`, [], { headers: { cookie: cookiesOf(headers['set-cookie']) } })
    t.equal(next.headers['x-user'], 'dan')
  })

  t.test('sets no cookie on the 101 of a session that nobody has written to', async (t) => {
    const { ws } = await start(t, build)
    const { headers } = await connect(t, `${ws}/user`)
    t.equal(headers['x-user'], 'none')
    t.notOk('set-cookie' in headers)
  })

  t.test('answers 500 in place of the 101 when the session cannot be saved', async (t) => {
    const { ws, nextStatus } = await start(t, async (app) => {
      await app.register(cookie)
      const store = {
        set: (_id: string, _session: unknown, callback: (error: Error) => void) => { callback(new Error('the store is down')) },
        get: (_id: string, callback: (error: null, result: null) => void) => { callback(null, null) },
        destroy: (_id: string, callback: () => void) => { callback() }
      }
      await app.register(session, { secret, store, cookie: { secure: false } })
      app.websocketRoute('/', {
        onHandshake (conn) { conn.acceptWith({ headers: { 'x-accepted': '1' } }) },
        onConnection () { t.fail('opened') }
      })
    })
    const { status, body } = await connectRefused(t, `${ws}/`)
    t.equal(status, 500)
    t.match(JSON.parse(body), { message: 'the store is down' })
    t.equal(await nextStatus(), 500)
  })
})

t.test('@fastify/rate-limit', async (t) => {
  t.test('counts handshakes on the 101 and answers 429 to the one too many', async (t) => {
    const { ws, nextStatus } = await start(t, async (app) => {
      await app.register(rateLimit, { max: 2, timeWindow: 60_000 })
      app.websocketRoute('/', { onConnection () {} })
    })
    for (const remaining of ['1', '0']) {
      const { headers } = await connect(t, `${ws}/`)
      t.match(headers, { 'x-ratelimit-limit': '2', 'x-ratelimit-remaining': remaining, 'x-ratelimit-reset': /^\d+$/ })
      t.equal(await nextStatus(), 101)
    }
    const { status, headers, body } = await connectRefused(t, `${ws}/`)
    t.equal(status, 429)
    t.match(headers, {
      'x-ratelimit-limit': '2', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': /^\d+$/, 'retry-after': /^\d+$/, connection: 'close'
    })
    t.match(JSON.parse(body), { statusCode: 429, error: 'Too Many Requests', message: /^Rate limit exceeded/ })
    t.equal(await nextStatus(), 429)
  })

  t.test('puts its headers on a refusal of the route', async (t) => {
    const { ws } = await start(t, async (app) => {
      await app.register(rateLimit, { max: 2 })
      app.websocketRoute('/', { onHandshake (conn) { conn.reject() } })
    })
    const { status, headers } = await connectRefused(t, `${ws}/`)
    t.equal(status, 403)
    t.match(headers, { 'x-ratelimit-limit': '2', 'x-ratelimit-remaining': '1' })
  })

  t.test('takes the limit of one route from its config, next to hooks of its own', async (t) => {
    const seen: string[] = []
    const { ws } = await start(t, async (app) => {
      await app.register(rateLimit, { global: false })
      app.websocketRoute('/limited', {
        config: { rateLimit: { max: 1 } },
        onRequest: [async () => { seen.push('onRequest') }],
        onConnection () {}
      })
      app.websocketRoute('/free', { onConnection () {} })
    })
    t.equal((await connect(t, `${ws}/limited`)).headers['x-ratelimit-limit'], '1')
    t.equal((await connectRefused(t, `${ws}/limited`)).status, 429)
    t.notOk('x-ratelimit-limit' in (await connect(t, `${ws}/free`)).headers)
    t.same(seen, ['onRequest', 'onRequest'])
  })

  t.test('counts the handshakes and the plain requests of one path apart, also next to a list of hooks', async (t) => {
    const { ws, http } = await start(t, async (app) => {
      await app.register(rateLimit, { global: false })
      app.websocketRoute('/', {
        config: { rateLimit: { max: 1 } },
        onRequest: [async () => {}],
        onConnection () {},
        handler: async () => 'plain'
      })
    })
    t.equal((await connect(t, `${ws}/`)).headers['x-ratelimit-remaining'], '0')
    const response = await fetch(`${http}/`)
    t.equal(response.status, 200)
    t.equal(response.headers.get('x-ratelimit-remaining'), '0')
    t.equal((await fetch(`${http}/`)).status, 429)
    t.equal((await connectRefused(t, `${ws}/`)).status, 429)
  })
})

t.test('@fastify/helmet', async (t) => {
  const { ws, nextStatus } = await start(t, async (app) => {
    await app.register(helmet)
    app.websocketRoute('/accepted', { onConnection () {} })
    app.websocketRoute('/refused', { onHandshake (conn) { conn.reject() } })
  })
  const expected = {
    'content-security-policy': /^default-src 'self';/,
    'cross-origin-opener-policy': 'same-origin',
    'strict-transport-security': /^max-age=/,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'SAMEORIGIN'
  }

  t.test('puts its headers on the 101', async (t) => {
    t.match((await connect(t, `${ws}/accepted`)).headers, expected)
    t.equal(await nextStatus(), 101)
  })

  t.test('puts its headers on a refusal', async (t) => {
    t.match((await connectRefused(t, `${ws}/refused`)).headers, expected)
    t.equal(await nextStatus(), 403)
  })

  t.test('puts its headers on the answer to an unknown path', async (t) => {
    const { status, headers } = await connectRefused(t, `${ws}/unknown`)
    t.equal(status, 404)
    t.match(headers, expected)
  })
})

t.test('@fastify/cors', async (t) => {
  const { ws, http, nextStatus } = await start(t, async (app) => {
    await app.register(cors, { origin: true, credentials: true, exposedHeaders: ['x-session'] })
    app.websocketRoute('/accepted', { onConnection () {} })
    app.websocketRoute('/refused', { onHandshake (conn) { conn.reject() } })
  })
  const expected = {
    'access-control-allow-origin': http,
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': 'x-session',
    vary: 'Origin'
  }

  t.test('puts its headers on the 101', async (t) => {
    t.match((await connect(t, `${ws}/accepted`, [], { origin: http })).headers, expected)
    t.equal(await nextStatus(), 101)
  })

  t.test('puts its headers on a refusal', async (t) => {
    const { status, headers } = await connectRefused(t, `${ws}/refused`, [], { origin: http })
    t.equal(status, 403)
    t.match(headers, expected)
    t.equal(await nextStatus(), 403)
  })

  t.test('answers a preflight to the path of a WebSocket route', async (t) => {
    const response = await fetch(`${http}/accepted`, {
      method: 'OPTIONS', headers: { origin: http, 'access-control-request-method': 'GET' }
    })
    t.equal(response.status, 204)
    t.match(response.headers.get('access-control-allow-methods'), /GET/)
  })
})

t.test('@fastify/jwt', async (t) => {
  const { app, ws, nextStatus } = await start(t, async (app) => {
    await app.register(cookie)
    await app.register(jwt, { secret: 'a secret', cookie: { cookieName: 'token', signed: false } })
    app.websocketRoute('/handshake', {
      async onHandshake (conn, request) {
        const { sub } = await request.jwtVerify<{ sub: string }>()
        conn.acceptWith({ headers: { 'x-sub': sub } })
      }
    })
    app.websocketRoute('/hook', {
      preHandler: async (request) => { await request.jwtVerify() },
      onHandshake (conn, request) { conn.acceptWith({ headers: { 'x-sub': (request.user as { sub: string }).sub } }) }
    })
  })

  for (const [path, place] of [['/handshake', 'onHandshake'], ['/hook', 'a preHandler hook']] as const) {
    t.test(`accepts a token that ${place} verifies`, async (t) => {
      const token = app.jwt.sign({ sub: 'ann' })
      const { headers } = await connect(t, `${ws}${path}`, [], { headers: { authorization: `Bearer ${token}` } })
      t.equal(headers['x-sub'], 'ann')
      t.equal(await nextStatus(), 101)
    })

    t.test(`accepts a token in a cookie that ${place} verifies`, async (t) => {
      const { headers } = await connect(t, `${ws}${path}`, [], { headers: { cookie: `token=${app.jwt.sign({ sub: 'bob' })}` } })
      t.equal(headers['x-sub'], 'bob')
      t.equal(await nextStatus(), 101)
    })

    t.test(`answers 401 when there is no token for ${place}`, async (t) => {
      const { status, body } = await connectRefused(t, `${ws}${path}`)
      t.equal(status, 401)
      t.match(JSON.parse(body), { statusCode: 401, error: 'Unauthorized', code: 'FST_JWT_NO_AUTHORIZATION_IN_COOKIE' })
      t.equal(await nextStatus(), 401)
    })

    t.test(`answers 401 when ${place} finds that the token has expired`, async (t) => {
      const token = app.jwt.sign({ sub: 'ann', exp: 1 })
      const { status, body } = await connectRefused(t, `${ws}${path}`, [], { headers: { authorization: `Bearer ${token}` } })
      t.equal(status, 401)
      t.match(JSON.parse(body), { code: 'FST_JWT_AUTHORIZATION_TOKEN_EXPIRED' })
      t.equal(await nextStatus(), 401)
    })
  }
})

t.test('@fastify/bearer-auth', async (t) => {
  // As the hook of a whole instance, and as the hook of one route.
  const { ws, nextStatus } = await start(t, async (app) => {
    await app.register(async (scope) => {
      await scope.register(bearerAuth, { keys: new Set(['a key']) })
      scope.websocketRoute('/instance', { onConnection () {} })
    })
    await app.register(async (scope) => {
      await scope.register(bearerAuth, { keys: new Set(['a key']), addHook: false })
      const verify = scope.verifyBearerAuth
      if (verify === undefined) throw new Error('@fastify/bearer-auth has no decorator')
      scope.websocketRoute('/route', { preHandler: verify, onConnection () {} })
      scope.websocketRoute('/open', { onConnection () {} })
    })
  })

  // The plugin answers itself as the hook of an instance; a hook of a route hands its error to the error handler.
  const bodyOf = {
    instance: (message: string) => ({ error: message }),
    route: (message: string) => ({ statusCode: 401, error: 'Unauthorized', message })
  }

  for (const place of ['instance', 'route'] as const) {
    t.test(`accepts a key as a hook of the ${place}`, async (t) => {
      const { status } = await connect(t, `${ws}/${place}`, [], { headers: { authorization: 'Bearer a key' } })
      t.equal(status, 101)
      t.equal(await nextStatus(), 101)
    })

    t.test(`refuses a wrong key and none as a hook of the ${place}`, async (t) => {
      const none = await connectRefused(t, `${ws}/${place}`)
      t.equal(none.status, 401)
      t.match(JSON.parse(none.body), bodyOf[place]('missing authorization header'))
      t.equal(await nextStatus(), 401)
      const wrong = await connectRefused(t, `${ws}/${place}`, [], { headers: { authorization: 'Bearer another' } })
      t.equal(wrong.status, 401)
      t.match(JSON.parse(wrong.body), bodyOf[place]('invalid authorization header'))
      t.equal(await nextStatus(), 401)
    })
  }

  t.test('leaves a route without the hook open', async (t) => {
    t.equal((await connect(t, `${ws}/open`)).status, 101)
    t.equal(await nextStatus(), 101)
  })
})

t.test('@fastify/sensible', async (t) => {
  const { ws, nextStatus } = await start(t, async (app: FastifyInstance) => {
    await app.register(sensible, { sharedSchemaId: 'HttpError' })
    app.websocketRoute('/throws', { onHandshake () { throw this.httpErrors.unauthorized('who are you?') } })
    app.websocketRoute('/asserts', { async onHandshake (_conn, request) { app.assert(request.headers.authorization, 401, 'log in first') } })
    app.websocketRoute('/replies', {
      preHandler: async (_request, reply) => reply.paymentRequired('no credit'),
      onHandshake () { t.fail('reached the handler') }
    })
    app.websocketRoute('/headers', {
      preHandler: async (_request, reply) => {
        reply.vary('cookie')
        reply.cacheControl('no-store')
      },
      onConnection () {}
    })
    app.websocketRoute('/schema', {
      schema: { response: { '4xx': { $ref: 'HttpError' } } },
      onHandshake (conn) { conn.reject({ code: 404, body: { statusCode: 404, error: 'Not Found', message: 'no such room', secret: 1 } }) }
    })
  })

  t.test('answers with the error that onHandshake throws', async (t) => {
    const { status, body } = await connectRefused(t, `${ws}/throws`)
    t.equal(status, 401)
    t.same(JSON.parse(body), { statusCode: 401, error: 'Unauthorized', message: 'who are you?' })
    t.equal(await nextStatus(), 401)
  })

  t.test('answers with the error of an assertion in onHandshake', async (t) => {
    const { status, body } = await connectRefused(t, `${ws}/asserts`)
    t.equal(status, 401)
    t.match(JSON.parse(body), { message: 'log in first' })
    t.equal(await nextStatus(), 401)
    t.equal((await connect(t, `${ws}/asserts`, [], { headers: { authorization: 'Bearer x' } })).status, 101)
    t.equal(await nextStatus(), 101)
  })

  t.test('answers with the error that a hook replies with', async (t) => {
    const { status, body } = await connectRefused(t, `${ws}/replies`)
    t.equal(status, 402)
    t.same(JSON.parse(body), { statusCode: 402, error: 'Payment Required', message: 'no credit' })
    t.equal(await nextStatus(), 402)
  })

  t.test('puts the headers of its reply helpers on the 101', async (t) => {
    t.match((await connect(t, `${ws}/headers`)).headers, { vary: 'cookie', 'cache-control': 'no-store' })
    t.equal(await nextStatus(), 101)
  })

  t.test('lends its schema to a refusal', async (t) => {
    const { status, body } = await connectRefused(t, `${ws}/schema`)
    t.equal(status, 404)
    t.same(JSON.parse(body), { statusCode: 404, error: 'Not Found', message: 'no such room' }, 'serialised by the schema')
    t.equal(await nextStatus(), 404)
  })
})

t.test('@fastify/request-context', async (t) => {
  interface Acceptable { acceptWith (options: { headers: { 'x-user': string } }): void }

  async function build (app: FastifyInstance): Promise<void> {
    await app.register(requestContext)
    app.addHook('onRequest', async (request) => { request.requestContext.set('user', String(request.headers['x-user'])) })
  }

  for (const kind of ['a sync', 'an async'] as const) {
    t.test(`keeps the store from onRequest to ${kind} onHandshake and to onConnection`, async (t) => {
      let arrived = 0
      const bothArrived = deferred()
      const { ws, nextStatus } = await start(t, async (app) => {
        await build(app)
        app.websocketRoute('/', {
          onHandshake: kind === 'a sync' ? accept : acceptTogether,
          onConnection (conn) { conn.send(app.requestContext.get('user') ?? 'none') }
        })
        function accept (conn: Acceptable): void {
          conn.acceptWith({ headers: { 'x-user': app.requestContext.get('user') ?? 'none' } })
        }
        // Both clients are in the handshake at the same time.
        async function acceptTogether (conn: Acceptable): Promise<void> {
          if (++arrived === 2) bothArrived.resolve()
          await bothArrived.promise
          accept(conn)
        }
      })
      await Promise.all(['ann', 'bob'].map(async (user) => {
        const { headers, message } = await hear(t, `${ws}/`, { 'x-user': user })
        t.equal(headers['x-user'], user, 'in onHandshake')
        t.equal(message, user, 'in onConnection')
      }))
      t.same([await nextStatus(), await nextStatus()], [101, 101])
    })
  }

  t.test('keeps the store to the error handler of a refusal', async (t) => {
    const { ws, nextStatus } = await start(t, async (app) => {
      await build(app)
      app.setErrorHandler((_error, _request, reply) => { void reply.code(418).send({ user: app.requestContext.get('user') }) })
      app.websocketRoute('/', { async onHandshake () { throw new Error('refused') } })
    })
    const { status, body } = await connectRefused(t, `${ws}/`, [], { headers: { 'x-user': 'ann' } })
    t.equal(status, 418)
    t.same(JSON.parse(body), { user: 'ann' })
    t.equal(await nextStatus(), 418)
  })
})

t.test('@fastify/otel', async (t) => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  t.teardown(() => context.disable())

  /** Starts a server with instrumentation of its own; `spans` gives those that have ended. */
  async function startTraced (t: Test, build: (app: FastifyInstance) => unknown = () => {}): Promise<EcosystemApp & { spans: () => ReadableSpan[] }> {
    const exporter = new InMemorySpanExporter()
    const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
    const instrumentation = new FastifyOtelInstrumentation()
    instrumentation.setTracerProvider(provider)
    t.teardown(() => provider.shutdown())
    const test = await start(t, async (app) => {
      await app.register(instrumentation.plugin())
      build(app)
      app.websocketRoute('/sync/:room', { onHandshake () {}, onConnection (conn) { conn.send(String(trace.getActiveSpan()?.spanContext().traceId)) } })
      app.websocketRoute('/async', { async onHandshake () { await null } })
      app.websocketRoute('/refused', { async onHandshake (conn) { conn.reject({ code: 401 }) } })
      app.websocketRoute('/failed', { async onHandshake () { throw new Error('the database is down') } })
    })
    return { ...test, spans: () => exporter.getFinishedSpans() }
  }

  function requestSpan (spans: ReadableSpan[]): ReadableSpan | undefined {
    return spans.find(({ name }) => name === 'request')
  }

  t.test('ends the span of an accepted handshake with the status 101', async (t) => {
    const { ws, nextStatus, spans } = await startTraced(t)
    await connect(t, `${ws}/sync/1`)
    t.equal(await nextStatus(), 101)
    t.match(requestSpan(spans()), {
      attributes: { 'http.request.method': 'GET', 'http.route': '/sync/:room', 'url.path': '/sync/1', 'http.response.status_code': 101 },
      status: { code: SpanStatusCode.UNSET }
    })
  })

  t.test('ends the span of a refused handshake with its status', async (t) => {
    const { ws, nextStatus, spans } = await startTraced(t)
    await connectRefused(t, `${ws}/refused`)
    t.equal(await nextStatus(), 401)
    t.match(requestSpan(spans()), { attributes: { 'http.route': '/refused', 'http.response.status_code': 401 } })
  })

  t.test('ends the span of a failed handshake with its error', async (t) => {
    const { ws, nextStatus, spans } = await startTraced(t)
    await connectRefused(t, `${ws}/failed`)
    t.equal(await nextStatus(), 500)
    t.match(requestSpan(spans()), {
      attributes: { 'http.response.status_code': 500 },
      status: { code: SpanStatusCode.ERROR, message: 'the database is down' },
      events: [{ name: 'exception' }]
    })
  })

  for (const ending of ['returns', 'throws'] as const) {
    t.test(`ends the span of a handshake whose client leaves before onHandshake ${ending}`, async (t) => {
      const arrived = deferred()
      const left = deferred()
      const { app, port, spans } = await startTraced(t, (app) => {
        app.websocketRoute('/slow', {
          async onHandshake (_conn, request) {
            arrived.resolve()
            await once(request.signal, 'abort')
            left.resolve()
            if (ending === 'throws') throw request.signal.reason
          }
        })
      })
      const client = await RawClient.connect(t, port)
      client.write(handshake('/slow'))
      await arrived.promise
      client.socket.destroy()
      await left.promise
      await app.close()
      t.match(requestSpan(spans()), { attributes: { 'http.route': '/slow' } })
    })
  }

  t.test('ends the span of the handler of every handshake, as a child of the request', async (t) => {
    for (const [path, statusCode] of [['/sync/1', 101], ['/async', 101], ['/refused', 401], ['/failed', 500]] as const) {
      const { ws, nextStatus, spans } = await startTraced(t)
      if (statusCode === 101) await connect(t, ws + path)
      else await connectRefused(t, ws + path)
      t.equal(await nextStatus(), statusCode)
      const handler = spans().find(({ attributes }) => attributes['fastify.type'] === 'request-handler')
      t.ok(handler, path)
      t.equal(handler?.parentSpanContext?.spanId, requestSpan(spans())?.spanContext().spanId)
    }
  })

  t.test('keeps the trace active for onConnection', async (t) => {
    const { ws, spans } = await startTraced(t)
    const { message } = await hear(t, `${ws}/sync/1`)
    t.equal(message, requestSpan(spans())?.spanContext().traceId)
  })

  t.test('gives each message a span of its own, linked to the handshake, as docs/operations.md has it', async (t) => {
    const finished: ReadableSpan[] = []
    const processor = { onStart () {}, onEnd: (span: ReadableSpan) => { finished.push(span) }, forceFlush: async () => {}, shutdown: async () => {} }
    const tracer = new BasicTracerProvider({ spanProcessors: [processor] }).getTracer('messages')
    const { ws, spans } = await startTraced(t, (app) => {
      app.websocketRoute('/traced', {
        async onMessage (conn, message) {
          const handshake = trace.getSpanContext(context.active())
          await tracer.startActiveSpan('message', { root: true, links: handshake ? [{ context: handshake }] : [] }, async (span) => {
            await null
            conn.sendMessage(message)
            span.end()
          })
        }
      })
    })
    const { socket } = await connect(t, `${ws}/traced`)
    for (const message of ['a', 'b']) {
      socket.send(message)
      t.equal(await nextMessage(socket), message)
    }
    await eventually(() => finished.length === 2)
    const ofHandshake = spans().map((span) => span.spanContext())
    for (const { links: [link], ...span } of finished) {
      t.ok(ofHandshake.some(({ spanId }) => spanId === link?.context.spanId))
      t.equal(link?.context.traceId, requestSpan(spans())?.spanContext().traceId)
      t.equal(span.parentSpanContext, undefined)
    }
  })
})

t.test('an error handler with a format of its own', async (t) => {
  const seen: unknown[] = []
  const { port, ws, nextStatus, logs } = await start(t, async (app) => {
    app.setErrorHandler((error: FastifyError, request, reply) => {
      seen.push(error.code)
      void reply.code(error.statusCode ?? 500).type('application/problem+json')
        .send({ title: error.message, type: error.code ?? 'about:blank', instance: request.id })
    })
    app.websocketRoute('/', {
      schema: { querystring: { type: 'object', required: ['room'], properties: { room: { type: 'string', maxLength: 5 } } } },
      async onHandshake () { throw Object.assign(new Error('not for you'), { statusCode: 418, code: 'APP_TEAPOT' }) }
    })
    await app.register(async (scope) => {
      scope.setErrorHandler((_error, _request, reply) => { void reply.code(410).send('the error handler of the scope') })
      scope.websocketRoute('/scope', { onHandshake () { throw new Error('gone') } })
    })
  })
  t.beforeEach(() => { seen.length = 0 })

  t.test('answers a throw in onHandshake', async (t) => {
    const { status, headers, body } = await connectRefused(t, `${ws}/?room=a`)
    t.equal(status, 418)
    t.match(headers, { 'content-type': /^application\/problem\+json/, 'content-length': String(body.length), connection: 'close' })
    t.match(JSON.parse(body), { title: 'not for you', type: 'APP_TEAPOT', instance: /^req-/ })
    t.same(seen, ['APP_TEAPOT'])
    t.equal(await nextStatus(), 418)
  })

  t.test('answers a request that its schema refuses', async (t) => {
    const { status, headers, body } = await connectRefused(t, `${ws}/?room=too-long`)
    t.equal(status, 400)
    t.match(headers, { 'content-type': /^application\/problem\+json/, connection: 'close' })
    t.match(JSON.parse(body), { title: 'querystring/room must NOT have more than 5 characters', type: 'FST_ERR_VALIDATION' })
    t.same(seen, ['FST_ERR_VALIDATION'])
    t.equal(await nextStatus(), 400)
  })

  t.test('answers a handshake with a bad key', async (t) => {
    const client = await RawClient.connect(t, port)
    client.write(handshake('/?room=a', { 'Sec-WebSocket-Key': 'too short' }))
    const response = await client.wholeResponse()
    t.equal(response.status, 400)
    t.match(field(response, 'content-type'), /^application\/problem\+json/)
    t.equal(field(response, 'connection'), 'close')
    t.match(JSON.parse(response.rest.toString()), { title: /^Sec-WebSocket-Key must be /, type: 'FST_ERR_WS_KEY' })
    t.same(seen, ['FST_ERR_WS_KEY'])
    t.equal(await nextStatus(), 400)
  })

  t.test('answers a handshake of another version, with the headers that say which one is spoken', async (t) => {
    const client = await RawClient.connect(t, port)
    client.write(handshake('/?room=a', { 'Sec-WebSocket-Version': '8' }))
    const response = await client.wholeResponse()
    t.equal(response.status, 426)
    t.equal(field(response, 'sec-websocket-version'), '13')
    t.equal(field(response, 'upgrade'), 'websocket')
    t.match(JSON.parse(response.rest.toString()), { type: 'FST_ERR_WS_VERSION' })
    t.equal(await nextStatus(), 426)
  })

  t.test('gives way to the one of an encapsulated scope', async (t) => {
    const { status, body } = await connectRefused(t, `${ws}/scope`)
    t.equal(status, 410)
    t.equal(body, 'the error handler of the scope')
    t.same(seen, [])
    t.equal(await nextStatus(), 410)
  })

  t.test('leaves one line for each answer in the log', async (t) => {
    const before = logs.length
    await connectRefused(t, `${ws}/?room=a`)
    t.equal(await nextStatus(), 418)
    t.match(logs.slice(before).filter(({ msg }) => msg === 'request completed'), [{ res: { statusCode: 418 } }])
  })
})

t.test('the options of the server', async (t) => {
  t.test('trustProxy gives the address, the host and the protocol that the proxy saw to onHandshake', async (t) => {
    const { ws } = await start(t, (app) => {
      app.websocketRoute('/', {
        onHandshake (conn, { ip, host, protocol }) { conn.acceptWith({ headers: { 'x-seen': `${protocol}://${host} ${ip}` } }) }
      })
    }, { trustProxy: '127.0.0.1' })
    const forwarded = { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-host': 'chat.example', 'x-forwarded-proto': 'https' }
    t.equal((await connect(t, `${ws}/`, [], { headers: forwarded })).headers['x-seen'], 'https://chat.example 203.0.113.7')
  })

  t.test('without trustProxy onHandshake sees the address of the socket', async (t) => {
    const { ws } = await start(t, (app) => {
      app.websocketRoute('/', { onHandshake (conn, { ip }) { conn.acceptWith({ headers: { 'x-seen': ip } }) } })
    })
    t.equal((await connect(t, `${ws}/`, [], { headers: { 'x-forwarded-for': '203.0.113.7' } })).headers['x-seen'], '127.0.0.1')
  })

  t.test('requestIdHeader names the request of a handshake that is accepted, and of one that is refused', async (t) => {
    const { ws, logs, nextStatus } = await start(t, (app) => {
      app.addHook('onSend', async (request, reply) => { reply.header('x-request-id', request.id) })
      app.websocketRoute('/accepted', { onConnection (conn) { conn.log.info('opened'); conn.send('opened') } })
      app.websocketRoute('/refused', { onHandshake (conn) { conn.reject() } })
    }, { requestIdHeader: 'x-request-id' })

    const { headers, message } = await hear(t, `${ws}/accepted`, { 'x-request-id': 'a-1' })
    t.equal(headers['x-request-id'], 'a-1')
    t.equal(message, 'opened')
    t.match(logs.find(({ msg }) => msg === 'opened'), { reqId: 'a-1' })

    const refused = await connectRefused(t, `${ws}/refused`, [], { headers: { 'x-request-id': 'r-1' } })
    t.equal(refused.headers['x-request-id'], 'r-1')
    t.same([await nextStatus(), await nextStatus()], [101, 403])
    t.match(logs.filter(({ msg }) => msg === 'request completed'), [
      { reqId: 'a-1', res: { statusCode: 101 } }, { reqId: 'r-1', res: { statusCode: 403 } }
    ])
  })
})
