// Which pages may open a WebSocket.
import type { FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import type { OriginOption, WebSocketPluginOptions } from '../../index.ts'
import { startApp } from '../support/app.ts'
import { connectRefused } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { sinceFastify } from '../support/fastify-version.ts'
import { handshake, RawClient } from '../support/raw.ts'

/** The status that a handshake gets. */
async function ask (t: Test, port: number, headers: Record<string, string | string[] | undefined>, path = '/'): Promise<number> {
  const client = await RawClient.connect(t, port)
  client.write(handshake(path, headers))
  const { status } = await client.head()
  client.socket.destroy()
  return status
}

async function start (t: Test, origin: OriginOption | undefined, { server = {}, plugin = {} }: { server?: object, plugin?: WebSocketPluginOptions } = {}): Promise<number> {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { ...origin === undefined ? {} : { origin }, onConnection () {} })
  }, { server, plugin })
  return port
}

/** Each case: what comes in `Origin`, what comes in `Host` if it matters, and whether it may come in. */
type Case = readonly [origin: string | undefined, host: string | undefined, isAllowed: boolean]

async function check (t: Test, port: number, cases: readonly Case[]): Promise<void> {
  for (const [origin, host, isAllowed] of cases) {
    const headers = { ...origin === undefined ? {} : { Origin: origin }, ...host === undefined ? {} : { Host: host } }
    t.equal(await ask(t, port, headers), isAllowed ? 101 : 403, `${origin ?? 'none'} at ${host ?? 'server.example.com'}`)
  }
}

t.test('by default lets in pages of the same host and port, and clients that are no browser', async (t) => {
  await check(t, await start(t, undefined), [
    [undefined, 'app.example', true],
    ['http://app.example', 'app.example', true],
    // The scheme is not compared: behind a proxy that ends TLS it is unknown here.
    ['https://app.example', 'app.example', true],
    ['https://APP.Example', 'app.example', true],
    ['https://app.example', 'APP.EXAMPLE', true],
    ['https://app.example:443', 'app.example', true],
    ['https://app.example', 'app.example:443', true],
    ['http://app.example', 'app.example:80', true],
    ['http://app.example:8080', 'app.example:8080', true],
    ['http://app.example:8080', 'app.example', false],
    ['http://app.example', 'app.example:8080', false],
    ['http://app.example', 'app.example:443', false],
    ['https://app.example', 'app.example:80', false],
    ['http://127.0.0.1:3000', '127.0.0.1:3000', true],
    ['http://127.0.0.1:3000', '127.0.0.2:3000', false],
    ['http://localhost:3000', '127.0.0.1:3000', false],
    ['http://[::1]:3000', '[::1]:3000', true],
    ['http://[::1]:3000', '[0:0:0:0:0:0:0:1]:3000', true],
    ['http://[::1]:3000', '[::2]:3000', false],
    ['https://xn--bcher-kva.example', 'xn--bcher-kva.example', true],
    ['https://b\u00fccher.example', 'xn--bcher-kva.example', false], // as bytes, which are no origin
    ['https://xn--bcher-kva.example', 'bucher.example', false]
  ])
})

// What clients other than browsers write, or what is behind them.
t.test('by default lets in what names the same host and port in another way', async (t) => {
  await check(t, await start(t, undefined), [
    ['https://app.example/', 'app.example', true],
    ['http://app.example:8080/', 'app.example:8080', true],
    ['wss://app.example', 'app.example', true],
    ['ws://app.example', 'app.example', true],
    ['wss://app.example/', 'app.example', true],
    ['WSS://APP.example:443', 'app.example', true],
    ['wss://app.example', 'app.example:443', true],
    ['ws://app.example:80/', 'app.example', true],
    ['ws://[::1]:3000/', '[::1]:3000', true],
    ['wss://app.example', 'app.example:80', false],
    ['ws://app.example', 'app.example:443', false],
    ['wss://app.example:8443/', 'app.example', false],
    ['wss://evil.example/', 'app.example', false],
    ['https://app.example/', 'sub.app.example', false],
    ['', 'app.example', false],
    [' ', 'app.example', false]
  ])
})

t.test('options may be written like that, too', async (t) => {
  for (const option of ['https://app.example/', 'wss://app.example', 'WSS://App.Example:443/']) {
    await check(t, await start(t, option), [
      ['https://app.example', undefined, true], ['wss://app.example/', undefined, true], ['http://app.example', undefined, false],
      ['https://app.example.evil.example', undefined, false], ['', undefined, false]
    ])
  }
})

t.test('by default does not fall for an origin that only looks like the host', async (t) => {
  await check(t, await start(t, undefined), [
    'null', '', 'https://', 'https:', 'app.example', '//app.example',
    'https://evil.example', 'https://app.example.evil.example', 'https://evilapp.example', 'https://sub.app.example', 'https://app.example.',
    'https://app.example@evil.example', 'https://evil.example@app.example', 'https://app.example#evil.example',
    'https://app.example//', 'https://app.example/path', 'wss://app.example/path', '/', 'wss://', 'wss:app.example', 'https://app.example?x', 'https://app.example\\@evil.example',
    'https://app.example:evil', 'https://app.example:99999', 'https://app.example, https://app.example', 'https://app.example https://evil.example',
    'file://app.example', 'file://app.example/', 'wsx://app.example', 'chrome-extension://app.example', 'javascript://app.example', 'data:text/html,app.example'
  ].map((origin) => [origin, 'app.example', false]))
  // Hosts that would put the whole of the origin into another part of the URL.
  await check(t, await start(t, undefined), [
    ['https://evil.example', 'app.example@evil.example', false],
    ['https://evil.example', 'evil.example/app.example', false],
    ['https://evil.example', 'evil.example#app.example', false],
    ['https://evil.example', 'evil.example\\app.example', false]
  ])
})

t.test('refuses with a message that names the origin and the option, before onHandshake and the hooks', async (t) => {
  const { port, app } = await startApp(t, (app) => {
    app.addHook('onRequest', async () => { t.fail('a hook ran') })
    app.websocketRoute('/', { onRequest: () => { t.fail('a hook of the route ran') }, onHandshake () { t.fail('onHandshake ran') } })
  })
  const url = `ws://127.0.0.1:${port}/`
  const refused = await connectRefused(t, url, [], { headers: { origin: 'https://evil.example' } })
  t.equal(refused.status, 403)
  t.equal(refused.headers.connection, 'close')
  const { code, message } = JSON.parse(refused.body) as { code: string, message: string }
  t.equal(code, 'FST_ERR_WS_ORIGIN')
  t.match(message, /"https:\/\/evil\.example".*"origin"/)
  // What is quoted is neither long nor raw.
  const long = await connectRefused(t, url, [], { headers: { origin: `https://${'x'.repeat(5_000)}\t"` } })
  t.ok(long.body.length < 600)
  t.same(app.websockets.stats.refused, { 403: 2 })
})

t.test('a refusal is answered by the error handler and by the hooks for answers', async (t) => {
  const runs: string[] = []
  const { port } = await startApp(t, (app) => {
    app.setErrorHandler((error, _request, reply) => reply.code((error as { statusCode: number }).statusCode).send({ mine: (error as { code: string }).code }))
    app.addHook('onSend', async () => { runs.push('onSend') })
    app.addHook('onResponse', async () => { runs.push('onResponse') })
    app.websocketRoute('/', { onConnection () {} })
  })
  const { status, body } = await connectRefused(t, `ws://127.0.0.1:${port}/`, [], { headers: { origin: 'https://evil.example' } })
  t.same([status, body], [403, '{"mine":"FST_ERR_WS_ORIGIN"}'])
  t.same(runs, ['onSend', 'onResponse'])
})

t.test('compares with the host that a trusted proxy was asked for', async (t) => {
  const headers = { Host: 'internal:3000', 'X-Forwarded-Host': 'app.example', Origin: 'https://app.example' }
  t.equal(await ask(t, await start(t, undefined, { server: { trustProxy: true } }), headers), 101)
  t.equal(await ask(t, await start(t, undefined), headers), 403)
})

t.test('does not believe a proxy that is not trusted', sinceFastify('5.8.3', 'request.host is what anybody says in X-Forwarded-Host'), async (t) => {
  const headers = { Host: 'internal:3000', 'X-Forwarded-Host': 'app.example', Origin: 'https://app.example' }
  t.equal(await ask(t, await start(t, undefined, { server: { trustProxy: '10.0.0.1' } }), headers), 403)
})

t.test('`true` lets everybody in', async (t) => {
  await check(t, await start(t, true), [['https://any.example', undefined, true], ['null', undefined, true], ['nonsense', undefined, true]])
})

t.test('a string is one origin, with its scheme and port', async (t) => {
  await check(t, await start(t, 'https://App.example:443'), [
    ['https://app.example', undefined, true],
    ['HTTPS://APP.EXAMPLE', undefined, true],
    ['https://app.example:443', undefined, true],
    ['https://app.example/', undefined, true],
    ['wss://app.example', undefined, true],
    ['WSS://app.example:443/', undefined, true],
    ['ws://app.example', undefined, false],
    ['https://app.example/path', undefined, false],
    ['http://app.example', undefined, false],
    ['https://app.example:8443', undefined, false],
    ['https://app.example.evil.example', undefined, false],
    ['https://evil-app.example', undefined, false],
    ['https://server.example.com', undefined, false], // the host itself, as it is not listed
    ['null', undefined, false],
    ['', undefined, false],
    [undefined, undefined, true]
  ])
  await check(t, await start(t, 'https://b\u00fccher.example'), [['https://xn--bcher-kva.example', undefined, true], ['https://bucher.example', undefined, false]])
  await check(t, await start(t, 'http://[0:0::1]:80'), [['http://[::1]', undefined, true], ['http://[::2]', undefined, false]])
  // A scheme of which the URL parser knows no origin.
  await check(t, await start(t, 'chrome-extension://abcdef'), [
    ['chrome-extension://abcdef', undefined, true], ['Chrome-Extension://ABCDEF', undefined, true], ['chrome-extension://abcdef/', undefined, true],
    ['chrome-extension://abcdeg', undefined, false], ['null', undefined, false]
  ])
})

t.test("'null' lets in pages without an origin, and no other", async (t) => {
  await check(t, await start(t, 'null'), [
    ['null', undefined, true], ['NULL', undefined, false], ['https://null', undefined, false], ['https://server.example.com', undefined, false]
  ])
})

t.test('a RegExp is tested anew for each origin, whatever its flags', async (t) => {
  for (const flags of ['', 'g', 'y', 'gi']) {
    const port = await start(t, new RegExp('^https://[a-z]+\\.app\\.example$', flags))
    await check(t, port, [
      ['https://a.app.example', undefined, true],
      ['https://a.app.example', undefined, true],
      ['https://b.app.example', undefined, true],
      ['https://a.app.example.evil.example', undefined, false],
      ['https://A.app.example', undefined, flags.includes('i')]
    ])
  }
})

t.test('a list lets in what one of its items lets in', async (t) => {
  await check(t, await start(t, ['same', 'https://a.example', /^https:\/\/[a-z]+\.b\.example$/, 'null']), [
    ['http://server.example.com', undefined, true],
    ['https://a.example', undefined, true],
    ['https://x.b.example', undefined, true],
    ['null', undefined, true],
    ['https://x.a.example', undefined, false]
  ])
})

t.test('a function decides, sync or async, and only `true` is a yes', async (t) => {
  const seen: Array<[string, string]> = []
  const answers: Record<string, unknown> = { yes: true, promised: Promise.resolve(true), no: false, one: 1, text: 'true', nothing: undefined, null: null, object: {}, promisedNo: Promise.resolve('true') }
  const port = await start(t, (origin: string, request: FastifyRequest) => {
    seen.push([origin, request.url])
    return answers[origin] as boolean
  })
  await check(t, port, Object.keys(answers).map((name) => [name, undefined, name === 'yes' || name === 'promised']))
  t.same(seen, Object.keys(answers).map((name) => [name, '/']))
  seen.length = 0
  t.equal(await ask(t, port, {}), 101)
  t.same(seen, [], 'not asked for a request without Origin')
})

t.test('what the function throws or rejects with is answered by the error handler', async (t) => {
  const failure = (): never => { throw Object.assign(new Error('no list'), { statusCode: 502 }) }
  for (const fail of [failure, async () => failure()]) {
    const port = await start(t, fail)
    t.equal(await ask(t, port, { Origin: 'https://a.example' }), 502)
  }
})

t.test('a client that leaves while the function decides does not meet the hooks', async (t) => {
  const asked = deferred()
  const release = deferred()
  const sent = deferred()
  const { port, app } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      origin: async () => {
        asked.resolve()
        await release.promise
        return true
      },
      onSend: async () => { sent.resolve() },
      onHandshake () { t.fail('onHandshake ran') }
    })
  })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/', { Origin: 'https://a.example' }))
  await asked.promise
  client.socket.destroy()
  await eventually(() => app.websockets.stats.aborted === 1)
  release.resolve()
  await sent.promise
  t.match(app.websockets.stats, { pending: 0, aborted: 1, accepted: 0 })
})

t.test('a function that takes too long is ended by handshakeTimeout, and what it says later changes nothing', async (t) => {
  for (const outcome of ['allows', 'refuses', 'rejects']) {
    const release = deferred()
    const decided = deferred()
    const { app, port, logs } = await startApp(t, (app) => {
      app.websocketRoute('/', {
        handshakeTimeout: 10,
        async origin () {
          await release.promise
          setImmediate(() => decided.resolve())
          if (outcome === 'rejects') throw new Error('too late')
          return outcome === 'allows'
        },
        onHandshake () { t.fail('onHandshake ran') }
      })
    })
    const { status, body } = await connectRefused(t, `ws://127.0.0.1:${port}/`, [], { headers: { origin: 'https://a.example' } })
    t.match([status, body], [503, /FST_ERR_WS_HANDSHAKE_TIMEOUT/])
    release.resolve()
    await decided.promise
    t.same(app.websockets.stats.refused, { 503: 1 })
    t.match(logs.filter(({ msg }) => msg === 'WebSocket handshake refused'), [{ statusCode: 503, reason: 'FST_ERR_WS_HANDSHAKE_TIMEOUT' }])
    t.equal(logs.filter(({ msg }) => msg === 'WebSocket handshake refused').length, 1)
    t.equal(logs.filter(({ level }) => level > 40).length, 1, `${outcome}: Fastify logs the time-out, and nothing more is logged`)
  }
})

t.test("a route's option replaces the plugin's", async (t) => {
  const plugin = { origin: 'https://plugin.example' }
  await check(t, await start(t, undefined, { plugin }), [['https://plugin.example', undefined, true], ['https://route.example', undefined, false]])
  await check(t, await start(t, 'https://route.example', { plugin }), [['https://plugin.example', undefined, false], ['https://route.example', undefined, true]])
})

t.test('two Origin fields are no origin', async (t) => {
  const port = await start(t, 'https://a.example')
  // Node joins them, or takes the first one: either way the second one does not count.
  t.equal(await ask(t, port, { Origin: ['https://evil.example', 'https://a.example'] }), 403)
})

t.test('plain requests on the same path are not asked for their origin', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { handler: async () => 'plain', onConnection () {} })
    app.get('/other', async () => 'other')
  })
  for (const [path, text] of [['/', 'plain'], ['/other', 'other']] as const) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { origin: 'https://evil.example' } })
    t.equal(await response.text(), text)
  }
})

t.test('what can be no origin is refused when the route is declared', async (t) => {
  const { app } = await startApp(t, () => {})
  for (const origin of [false, null, 1, '', 'app.example', '*', '/', 'https://a.example//', 'https://a.example/path', 'https://a.example:x', 'https://a b', [], [true], ['*'], [() => true], {}]) {
    t.throws(() => app.websocketRoute('/x', { origin: origin as true, onConnection () {} }), { code: 'FST_ERR_WS_OPTION_INVALID', message: /"origin" must be true, "same"/ }, JSON.stringify(origin))
  }
})
