// The headers that acceptWith and reject take: their schemas, and what must never reach the wire.
import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import type { FastifyError, FastifyInstance } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import t, { type Test } from 'tap'
import { Type } from 'typebox'
import { z } from 'zod'
import { startApp } from '../support/app.ts'
import { connect, connectRefused } from '../support/client.ts'
import { field, handshake, RawClient } from '../support/raw.ts'

// JavaScript users, and casts, get past the types.
interface Untyped { acceptWith (options?: unknown): void, reject (options?: unknown): void }

/** Runs `act` in a handshake and returns the code of what it threw; the handshake must still be open to a correct answer. */
async function codeOf (t: Test, act: (conn: Untyped) => void, schema?: object): Promise<string | undefined> {
  let code: string | undefined
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      ...schema === undefined ? {} : { schema: { response: schema } },
      onHandshake (conn) {
        try {
          act(conn as Untyped)
        } catch (error) {
          code = (error as FastifyError).code;
          (conn as Untyped).reject({ code: 499, body: 'still open', headers: { 'x-still': 'open' } })
        }
      }
    })
  })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/', { 'Sec-WebSocket-Protocol': 'a, b' }))
  const response = await client.head()
  if (code !== undefined) t.match(response, { status: 499, body: 'still open' }, 'nothing had been written')
  return code
}

for (const method of ['acceptWith', 'reject'] as const) {
  const act = (headers: unknown) => (conn: Untyped): void => { conn[method]({ headers }) }

  t.test(`${method} refuses names that are no token`, async (t) => {
    for (const name of ['', ' ', 'a b', 'a:b', 'x\r\ny', 'x\r\nSet-Cookie', 'x\n', 'x\0', 'ä', 'x"', '(x)']) {
      t.equal(await codeOf(t, act({ [name]: 'v' })), 'FST_ERR_WS_HEADER_INVALID', JSON.stringify(name))
    }
  })

  t.test(`${method} refuses values with characters that no header may have`, async (t) => {
    for (const value of ['a\rb', 'a\nb', 'a\r\nSet-Cookie: x=1', 'a\r\n\r\nbody', '\0', 'a\x7f', '\u{1F600}', 'Ā']) {
      t.equal(await codeOf(t, act({ 'x-a': value })), 'FST_ERR_WS_HEADER_INVALID', JSON.stringify(value))
      t.equal(await codeOf(t, act({ 'x-a': ['fine', value] })), 'FST_ERR_WS_HEADER_INVALID', JSON.stringify([value]))
    }
  })

  t.test(`${method} refuses values that are no string, number, boolean or list of them`, async (t) => {
    for (const value of [null, undefined, {}, Symbol('s'), () => {}, NaN, Infinity, [[]], [null], 1n]) {
      t.equal(await codeOf(t, act({ 'x-a': value })), 'FST_ERR_WS_HEADER_INVALID')
    }
  })

  t.test(`${method} refuses a name that is given twice`, async (t) => {
    t.equal(await codeOf(t, act({ 'X-A': '1', 'x-a': '2' })), 'FST_ERR_WS_HEADER_INVALID')
  })

  t.test(`${method} refuses headers that the handshake sets itself`, async (t) => {
    for (const name of ['Upgrade', 'connection', 'Sec-WebSocket-Accept', 'sec-websocket-protocol', 'Sec-WebSocket-Extensions', 'Sec-WebSocket-Anything', 'Content-Length', 'TRANSFER-ENCODING']) {
      t.equal(await codeOf(t, act({ [name]: 'x' })), 'FST_ERR_WS_HEADER_RESERVED', name)
    }
  })

  t.test(`${method} refuses headers and options that are no object`, async (t) => {
    for (const headers of ['x', 1, [], true]) t.equal(await codeOf(t, act(headers)), 'FST_ERR_WS_ARGUMENT')
    for (const options of ['x', 1, null, () => {}]) t.equal(await codeOf(t, (conn) => conn[method](options)), 'FST_ERR_WS_ARGUMENT')
  })

  t.test(`${method} takes what is valid`, async (t) => {
    t.equal(await codeOf(t, act({ 'x-a': 'text\twith tab', 'X-B': 1.5, 'x-c': true, 'x-d': '', "x!#$%&'*+-.^_`|~9": 'ÿ' })), undefined)
    t.equal(await codeOf(t, (conn) => conn[method]()), undefined)
    t.equal(await codeOf(t, (conn) => conn[method]({})), undefined)
  })
}

t.test('acceptWith refuses a protocol that was not offered', async (t) => {
  for (const protocol of ['c', 'A', '', 'a, b', 'a\r\n', null, 1]) {
    t.equal(await codeOf(t, (conn) => conn.acceptWith({ protocol })), 'FST_ERR_WS_PROTOCOL_NOT_OFFERED', String(protocol))
  }
})

t.test('acceptWith names what was offered when it refuses a protocol', async (t) => {
  const { port } = await startApp(t, (app) => { app.websocketRoute('/', { onHandshake (conn) { (conn as Untyped).acceptWith({ protocol: 'c' }) } }) })
  const message = async (protocols: string[]): Promise<string> => JSON.parse((await connectRefused(t, `ws://127.0.0.1:${port}/`, protocols)).body).message
  t.match(await message(['a', 'b']), /chose the subprotocol 'c', but the client offered a, b/)
  t.match(await message([]), /but the client offered none/)
})

t.test('reject refuses a code that is no integer from 300 to 599', async (t) => {
  for (const code of [100, 101, 200, 204, 299, 600, 0, -1, 403.5, NaN, '403', null]) {
    t.equal(await codeOf(t, (conn) => conn.reject({ code })), code === null ? undefined : 'FST_ERR_WS_REJECT_CODE', String(code))
  }
  t.equal(await codeOf(t, (conn) => conn.reject({ body: new Response('fine') })), 'FST_ERR_WS_REJECT_CODE', 'the status of a Response')
  for (const code of [300, 599]) t.equal(await codeOf(t, (conn) => conn.reject({ code })), undefined, String(code))
})

t.test('chooses the first protocol of the server that the client offered, unless acceptWith says otherwise', async (t) => {
  const offered: Array<readonly string[]> = []
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { protocols: ['v3', 'v2', 'v1'], onHandshake (conn) { offered.push(conn.offeredProtocols) } })
    app.websocketRoute('/choose', { protocols: ['v3', 'v2', 'v1'], onHandshake (conn) { conn.acceptWith({ protocol: 'v1' }) } })
    app.websocketRoute('/without-list', { onHandshake (conn) { if (conn.offeredProtocols.includes('v9')) (conn as Untyped).acceptWith({ protocol: 'v9' }) } })
  })
  const chosen = async (path: string, offer: string | undefined): Promise<string | undefined> => {
    const client = await RawClient.connect(t, port)
    client.write(handshake(path, { 'Sec-WebSocket-Protocol': offer }))
    return field(await client.head(), 'sec-websocket-protocol')
  }
  t.equal(await chosen('/', 'v1, v2'), 'v2')
  t.equal(await chosen('/', 'v0'), undefined)
  t.equal(await chosen('/', undefined), undefined)
  t.same(offered, [['v1', 'v2'], ['v0'], []])
  t.equal(await chosen('/choose', 'v1, v2'), 'v1')
  t.equal(await chosen('/without-list', 'v8, v9'), 'v9')
  t.equal(await chosen('/without-list', 'v8'), undefined)
})

const sessionSchema = { type: 'object', required: ['X-Session'], properties: { 'X-Session': { type: 'string', minLength: 3 }, 'x-count': { type: 'integer' }, 'x-version': { type: 'string', default: '1' }, 'x-numbers': { type: 'array', items: { type: 'integer' } } } } as const

t.test('validates the headers of the 101, in any case, with coercion and defaults', async (t) => {
  const given = { 'x-session': 'abc', 'x-count': '5', 'X-Numbers': ['1', '2'] }
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { schema: { response: { 101: { headers: sessionSchema } } }, onHandshake (conn) { (conn as Untyped).acceptWith({ headers: given }) } })
  })
  t.match((await connect(t, `ws://127.0.0.1:${port}/`)).headers, { 'x-session': 'abc', 'x-count': '5', 'x-version': '1', 'x-numbers': '1, 2' })
  t.same(given, { 'x-session': 'abc', 'x-count': '5', 'X-Numbers': ['1', '2'] }, 'the object of the caller stays as it was')
})

t.test('answers 500 when the headers of the 101 do not fit', async (t) => {
  const { port, logs } = await startApp(t, (app) => {
    const schema = { response: { 101: { headers: sessionSchema } } }
    app.websocketRoute('/', { schema, onHandshake (conn, request) { (conn as Untyped).acceptWith({ headers: request.query }) } })
    app.websocketRoute('/default', { schema, onConnection () { t.fail('opened') } })
  })
  for (const path of ['/', '/?x-session=ab', '/?x-session=abc&x-count=many', '/default']) {
    const { status, body } = await connectRefused(t, `ws://127.0.0.1:${port}${path}`)
    t.equal(status, 500, path)
    t.match(JSON.parse(body), { code: 'FST_ERR_WS_ACCEPT_HEADERS' }, path)
  }
  t.match(logs.find(({ level }) => level === 50), { err: { message: /schema\.response\[101\]\.headers: headers must have required property 'X-Session'/ } })
})

t.test('validates the headers of a refusal, found by code as Fastify finds the body', async (t) => {
  const needs = (name: string): object => ({ type: 'object', required: [name] })
  const response = {
    401: { description: 'no', headers: needs('x-401'), content: { 'application/json': { schema: { type: 'object', properties: { error: { type: 'string' } } } } } },
    '4xx': { headers: needs('x-4xx') },
    '5XX': { headers: needs('x-5xx'), type: 'object', properties: { five: { type: 'string' } } },
    default: { description: 'only headers', headers: needs('x-default') }
  }
  for (const [code, name] of [[401, 'x-401'], [402, 'x-4xx'], [500, 'x-5xx'], [300, 'x-default']] as const) {
    t.equal(await codeOf(t, (conn) => conn.reject({ code, headers: { wrong: '1' } }), { ...response, 499: {} }), 'FST_ERR_WS_REJECT_HEADERS', String(code))
    t.equal(await codeOf(t, (conn) => conn.reject({ code, headers: { [name]: '1' } }), { ...response, 499: {} }), undefined, String(code))
  }
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/:code', {
      schema: { response },
      onHandshake (conn, request) {
        const { code } = request.params as { code: string };
        (conn as Untyped).reject({ code: Number(code), body: { error: 'e', five: 'f', more: 'm' }, headers: { 'x-401': '1', 'x-4xx': '1', 'x-5xx': '1', 'x-default': '1' } })
      }
    })
  })
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/401`)).body, '{"error":"e"}')
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/404`)).body, '{"error":"e","five":"f","more":"m"}')
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/500`)).body, '{"five":"f"}')
})

t.test('compiles header schemas once, with the compiler that the route or its instance has', async (t) => {
  const compiled: string[] = []
  const compilerOf = (name: string) => ({ httpPart, schema }: { httpPart?: string, schema: unknown }) => {
    compiled.push(`${name} ${String(httpPart)} ${String((schema as { title?: string }).title)}`)
    return () => true
  }
  const schema = (title: string): object => ({ response: { 101: { headers: { title, type: 'object' } }, 401: { headers: { title: `${title} 401`, type: 'object' } } } })
  const { port } = await startApp(t, async (app) => {
    await app.register(async (child) => {
      child.setValidatorCompiler(compilerOf('instance') as never)
      child.websocketRoute('/instance', { schema: schema('a'), onConnection () {} })
      child.websocketRoute('/route', { schema: schema('b'), validatorCompiler: compilerOf('route') as never, onConnection () {} })
    })
  })
  t.same(compiled.filter((entry) => entry.includes('headers')).sort(), ['instance headers a', 'instance headers a 401', 'route headers b', 'route headers b 401'])
  const before = compiled.length
  for (const path of ['/instance', '/route', '/route']) await connect(t, `ws://127.0.0.1:${port}${path}`)
  t.equal(compiled.length, before, 'not once more for a request')
})

t.test('works with the compilers of TypeBox and zod', async (t) => {
  const typebox = (app: FastifyInstance): void => {
    app.setValidatorCompiler(TypeBoxValidatorCompiler)
    app.websocketRoute('/', {
      schema: { response: { 101: { headers: Type.Object({ 'X-Session': Type.String({ minLength: 3 }) }) } } },
      onHandshake (conn, request) { (conn as Untyped).acceptWith({ headers: request.query }) }
    })
  }
  const zod = (app: FastifyInstance): void => {
    app.setValidatorCompiler(validatorCompiler)
    app.setSerializerCompiler(serializerCompiler)
    app.websocketRoute('/', {
      schema: { response: { 101: { headers: z.object({ 'x-session': z.string().min(3).transform((value) => value.toUpperCase()) }) } } },
      onHandshake (conn, request) { (conn as Untyped).acceptWith({ headers: request.query }) }
    })
  }
  for (const [name, build, expected] of [['typebox', typebox, 'abc'], ['zod', zod, 'ABC']] as const) {
    await t.test(name, async (t) => {
      const { port } = await startApp(t, build)
      t.equal((await connect(t, `ws://127.0.0.1:${port}/?x-session=abc`)).headers['x-session'], expected)
      const { status, body } = await connectRefused(t, `ws://127.0.0.1:${port}/?x-session=a`)
      t.equal(status, 500)
      t.match(JSON.parse(body), { code: 'FST_ERR_WS_ACCEPT_HEADERS' })
    })
  }
})

t.test('takes what a validator returns: a value, an error, false, a promise, nothing', async (t) => {
  const results: Record<string, () => unknown> = {
    value: () => ({ value: { 'x-new': '1' } }),
    error: () => ({ error: new Error('not so') }),
    text: () => ({ error: 'not so either' }),
    false: () => false,
    promise: async () => true,
    empty: () => ({})
  }
  const { port } = await startApp(t, (app) => {
    for (const [name, result] of Object.entries(results)) {
      app.websocketRoute(`/${name}`, { schema: { response: { 101: { headers: {} } } }, validatorCompiler: () => result as never, onHandshake (conn) { (conn as Untyped).acceptWith({ headers: { 'x-old': '1' } }) } })
    }
  })
  const url = `ws://127.0.0.1:${port}`
  t.match((await connect(t, `${url}/value`)).headers, { 'x-new': '1', 'x-old': undefined })
  t.match((await connect(t, `${url}/empty`)).headers, { 'x-old': '1' })
  t.match(JSON.parse((await connectRefused(t, `${url}/error`)).body).message, /not so$/)
  t.match(JSON.parse((await connectRefused(t, `${url}/text`)).body).message, /not so either$/)
  t.match(JSON.parse((await connectRefused(t, `${url}/false`)).body).message, /headers not valid$/)
  t.match(JSON.parse((await connectRefused(t, `${url}/promise`)).body).message, /asynchronous$/)
})

t.test('fails at registration when a header schema cannot be compiled', async (t) => {
  const start = (schema: unknown, more: object = {}): Promise<unknown> => startApp(t, (app) => {
    app.websocketRoute('/x', { schema: { response: { 101: { headers: schema } } }, onConnection () {}, ...more })
  })
  const message = /response\[101\]\.headers of the WebSocket route "\/x"/
  await t.rejects(start({ type: 'nonsense' }), { code: 'FST_ERR_WS_HEADER_SCHEMA', message })
  await t.rejects(start({}, { validatorCompiler: () => undefined }), { code: 'FST_ERR_WS_HEADER_SCHEMA', message })
  // eslint-disable-next-line no-throw-literal -- what is thrown may be anything
  await t.rejects(start({}, { validatorCompiler: () => { throw 'a string' } }), { code: 'FST_ERR_WS_HEADER_SCHEMA', message: /: a string$/ })
})
