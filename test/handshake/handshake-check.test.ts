// RFC 6455 section 4.2.1, spoken by raw sockets.
import type { FastifyError } from 'fastify'
import t, { type Test } from 'tap'
import { startApp, type TestApp } from '../support/app.ts'
import { field, handshake, RawClient, type RawResponse } from '../support/raw.ts'

interface Case {
  name: string
  request: string
  status: number
  code?: string
  fields?: Record<string, string>
}

const bad = (headers: Record<string, string | string[] | undefined>, requestLine?: string): string => handshake('/', headers, requestLine)
const REFUSED_VERSION = { upgrade: 'websocket', connection: 'close, Upgrade', 'sec-websocket-version': '13' }
const NOT_A_KEY = { status: 400, code: 'FST_ERR_WS_KEY' }
const NOT_A_LIST = { status: 400, code: 'FST_ERR_WS_PROTOCOL_LIST' }
const BODY = { status: 400, code: 'FST_ERR_WS_BODY' }

const cases: Case[] = [
  { name: 'no key', request: bad({ 'Sec-WebSocket-Key': undefined }), ...NOT_A_KEY },
  { name: 'an empty key', request: bad({ 'Sec-WebSocket-Key': '' }), ...NOT_A_KEY },
  { name: 'a key of 15 bytes', request: bad({ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25j' }), ...NOT_A_KEY },
  { name: 'a key of 17 bytes', request: bad({ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZSE=' }), ...NOT_A_KEY },
  { name: 'a key that is no base64', request: bad({ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub2_jZQ==' }), ...NOT_A_KEY },
  { name: 'two keys', request: bad({ 'Sec-WebSocket-Key': ['dGhlIHNhbXBsZSBub25jZQ==', 'dGhlIHNhbXBsZSBub25jZQ=='] }), ...NOT_A_KEY },
  ...[undefined, '', '8', '12', '14', '013', '13.0', '0xd', '13, 8', '1e1'].map((version): Case => ({
    name: `the version ${JSON.stringify(version)}`, request: bad({ 'Sec-WebSocket-Version': version }), status: 426, code: 'FST_ERR_WS_VERSION', fields: REFUSED_VERSION
  })),
  { name: 'two versions', request: bad({ 'Sec-WebSocket-Version': ['13', '13'] }), status: 426, code: 'FST_ERR_WS_VERSION' },
  { name: 'no Host', request: bad({ Host: undefined }), status: 400, code: 'FST_ERR_WS_HOST' },
  { name: 'two Hosts', request: bad({ Host: ['a.example', 'b.example'] }), status: 400, code: 'FST_ERR_WS_HOST' },
  { name: 'HTTP/1.0', request: bad({}, 'GET / HTTP/1.0'), status: 426, code: 'FST_ERR_WS_HTTP_VERSION', fields: { upgrade: 'websocket' } },
  { name: 'an empty protocol list', request: bad({ 'Sec-WebSocket-Protocol': '' }), ...NOT_A_LIST },
  { name: 'a protocol list with an empty item', request: bad({ 'Sec-WebSocket-Protocol': 'a,,b' }), ...NOT_A_LIST },
  { name: 'a protocol that is no token', request: bad({ 'Sec-WebSocket-Protocol': 'a, b/c' }), ...NOT_A_LIST },
  { name: 'a protocol with a space in it', request: bad({ 'Sec-WebSocket-Protocol': 'a b' }), ...NOT_A_LIST },
  { name: 'a doubled protocol', request: bad({ 'Sec-WebSocket-Protocol': 'a, b, a' }), ...NOT_A_LIST },
  { name: 'a protocol doubled in two lines', request: bad({ 'Sec-WebSocket-Protocol': ['a', 'a'] }), ...NOT_A_LIST },
  { name: 'a body with a length', request: bad({ 'Content-Length': '5' }) + 'hello', ...BODY },
  { name: 'a chunked body', request: bad({ 'Transfer-Encoding': 'chunked' }) + '5\r\nhello\r\n0\r\n\r\n', ...BODY },
  ...['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'].map((method): Case => ({
    name: `the method ${method}`, request: bad({}, `${method} / HTTP/1.1`), status: 405, ...method === 'HEAD' ? {} : { code: 'FST_ERR_WS_METHOD' }, fields: { allow: 'GET' }
  }))
]

async function startRoute (t: Test, errors: FastifyError[] = []): Promise<TestApp> {
  return await startApp(t, (app) => {
    app.setErrorHandler((error: FastifyError, _request, reply) => {
      errors.push(error)
      return reply.code(error.statusCode ?? 500).send({ code: error.code, text: error.message })
    })
    app.websocketRoute('/', { onConnection () { t.fail('opened') } })
  }, { server: { exposeHeadRoutes: true } })
}

async function ask (t: Test, port: number, request: string): Promise<RawResponse> {
  const client = await RawClient.connect(t, port)
  client.write(request)
  return await client.wholeResponse()
}

t.test('refuses what is no handshake by the error handler, with a complete response', async (t) => {
  const errors: FastifyError[] = []
  const { port } = await startRoute(t, errors)
  for (const { name, request, status, code, fields } of cases) {
    const response = await ask(t, port, request)
    t.equal(response.status, status, name)
    t.match(field(response, 'connection'), /^close/, name)
    for (const [key, value] of Object.entries(fields ?? {})) t.equal(field(response, key), value, `${name}: ${key}`)
    const body = response.body
    if (code !== undefined) {
      t.equal(field(response, 'content-length'), String(body.length), name)
      t.equal(JSON.parse(body).code, code, name)
      t.match(JSON.parse(body).text, /RFC 6455|body/, name)
    }
    t.equal(errors.pop()?.statusCode, status, `${name}: the error handler was asked`)
  }
})

t.test('says in the message what was wrong, with the value that came', async (t) => {
  const { port } = await startRoute(t)
  const text = async (request: string): Promise<string> => JSON.parse((await ask(t, port, request)).body).text
  t.match(await text(bad({ 'Sec-WebSocket-Key': 'short' })), 'got "short"')
  t.match(await text(bad({ 'Sec-WebSocket-Key': undefined })), 'got none')
  t.match(await text(bad({ 'Sec-WebSocket-Version': '8' })), 'got "8"')
  t.match(await text(bad({ Host: undefined })), 'got none')
  t.match(await text(bad({ Host: ['a', 'b'] })), 'got 2')
  t.match(await text(bad({ 'Content-Length': '5' }) + 'hello'), 'got Content-Length: 5')
})

t.test('takes the unusual that is valid', async (t) => {
  const { port } = await startApp(t, (app) => { app.websocketRoute('/', { protocols: ['b'], onConnection () {} }) })
  const requests = {
    'Upgrade in another case': bad({ Upgrade: 'WebSocket' }),
    'Connection with more options': bad({ Connection: 'keep-alive, Upgrade' }),
    'a Content-Length of 0': bad({ 'Content-Length': '0' }),
    'an absolute URL': bad({}, 'GET http://server.example.com/ HTTP/1.1'),
    'white space in the protocol list': bad({ 'Sec-WebSocket-Protocol': 'a \t,\t b' }),
    'protocols in two lines': bad({ 'Sec-WebSocket-Protocol': ['a', 'b'] }),
    'an extension that is not known': bad({ 'Sec-WebSocket-Extensions': 'x-foo; a=1' }),
    'a malformed extension list': bad({ 'Sec-WebSocket-Extensions': ';;,' })
  }
  for (const [name, request] of Object.entries(requests)) {
    const client = await RawClient.connect(t, port)
    client.write(request)
    const response = await client.head()
    t.equal(response.status, 101, name)
    t.equal(field(response, 'sec-websocket-protocol'), name.includes('protocol') ? 'b' : undefined, name)
    t.equal(field(response, 'sec-websocket-extensions'), undefined, name)
  }
})

t.test('declines a deflate offer that is malformed or cannot be met', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { perMessageDeflate: { clientMaxWindowBits: 10, serverMaxWindowBits: 10 }, onConnection (conn) { conn.on('message', (data) => conn.send(`echo ${String(data)}`)) } })
    app.websocketRoute('/any', { perMessageDeflate: true, onConnection () {} })
    app.websocketRoute('/off', { onConnection () {} })
  })
  const accepted = async (path: string, offer: string): Promise<string | undefined> => {
    const client = await RawClient.connect(t, port)
    client.write(handshake(path, { 'Sec-WebSocket-Extensions': offer, 'X-A': 'b' }))
    const response = await client.head()
    t.equal(response.status, 101, offer)
    return field(response, 'sec-websocket-extensions')
  }
  t.match(await accepted('/any', 'permessage-deflate; client_max_window_bits'), 'permessage-deflate')
  t.equal(await accepted('/any', 'permessage-deflate; client_max_window_bits=99'), undefined)
  t.equal(await accepted('/any', 'permessage-deflate; unknown=1'), undefined)
  t.equal(await accepted('/any', 'permessage-deflate; ='), undefined)
  t.equal(await accepted('/', 'permessage-deflate'), undefined, 'the client cannot limit its window')
  t.equal(await accepted('/off', 'permessage-deflate'), undefined)

  const client = await RawClient.connect(t, port)
  client.write(handshake('/', { 'Sec-WebSocket-Extensions': 'permessage-deflate; =' }))
  await client.head()
  client.write(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x41]))
  await client.until((received) => received.includes('echo A'))
})

t.test('gives the error to onHandshake with attachValidation', async (t) => {
  const seen: Array<string | undefined> = []
  const { port } = await startApp(t, (app) => {
    const shared = {
      attachValidation: true,
      schema: { querystring: { type: 'object', properties: { n: { type: 'integer' } } } },
      onConnection () {}
    } as const
    app.websocketRoute('/nothing', { ...shared, onHandshake (_conn, request) { seen.push((request.validationError as Partial<FastifyError> | undefined)?.code) } })
    app.websocketRoute('/reject', { ...shared, onHandshake (conn, request) { conn.reject({ code: 444, body: request.validationError?.message }) } })
    app.websocketRoute('/accept', { ...shared, onHandshake (conn) { conn.acceptWith() } })
  })
  const noKey = { 'Sec-WebSocket-Key': undefined }
  const oldVersion = await ask(t, port, handshake('/nothing', { 'Sec-WebSocket-Version': '8' }))
  t.equal(oldVersion.status, 426)
  t.equal(field(oldVersion, 'sec-websocket-version'), '13')
  t.same(seen.splice(0), ['FST_ERR_WS_VERSION'])
  t.match((await ask(t, port, handshake('/nothing?n=x'))).status, 400)
  t.same(seen.splice(0), ['FST_ERR_VALIDATION'])
  t.match((await ask(t, port, handshake('/nothing?n=x', noKey))).status, 400)
  t.same(seen.splice(0), ['FST_ERR_VALIDATION'], 'the error that came first')

  t.match((await ask(t, port, handshake('/reject', noKey))), { status: 444, body: /Sec-WebSocket-Key must be/ })
  t.match((await ask(t, port, handshake('/accept', noKey))).body, 'FST_ERR_WS_KEY')

  const client = await RawClient.connect(t, port)
  client.write(handshake('/accept?n=x'))
  t.equal((await client.head()).status, 101, 'a valid handshake may be accepted whatever its query')
})

t.test('answers 426 to a plain GET or HEAD', async (t) => {
  const { port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/', { schema: { headers: { type: 'object', required: ['x-needed'] } }, onRequest: async () => { t.fail('hooks of the route') }, onConnection () {} })
  })
  const response = await ask(t, port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  t.equal(response.status, 426)
  t.equal(field(response, 'upgrade'), 'websocket')
  t.equal(field(response, 'connection'), 'Upgrade')
  t.match(response.body, 'FST_ERR_WS_UPGRADE_REQUIRED')
  t.match(response.body, 'HTTP/1.1 404', 'the connection can be used on')
  const head = await ask(t, port, 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  t.same([head.status, field(head, 'connection'), head.body], [426, 'close, Upgrade', ''], 'closes when the client asks for it')
  t.equal((await ask(t, port, 'GET / HTTP/1.0\r\n\r\n')).status, 426)
  t.notOk(logs.some(({ level }) => level > 30))
})

t.test('gives a plain answer to a handshake on a plain route, and the not-found handler on no route', async (t) => {
  const { port, logs } = await startApp(t, (app) => {
    app.get('/plain', async () => ({ plain: true }))
    app.post('/plain', async () => ({ posted: true }))
    app.get('/101', (_request, reply) => { void reply.code(101).send() })
    app.get('/101-later', (_request, reply) => { setImmediate(() => { void reply.code(101).send() }) })
    app.get('/101-async', { onSend: async () => { await null } }, async (_request, reply) => { await null; return reply.code(101).send() })
    app.setNotFoundHandler((_request, reply) => { void reply.code(404).send('nothing here') })
    app.websocketRoute('/ws', { onConnection () {} })
    app.websocketRoute('/101-hook', { preHandler: async (_request, reply) => await reply.code(101).send(), onConnection () {} })
  })
  t.match(await ask(t, port, handshake('/plain')), { status: 200, body: '{"plain":true}' })
  t.match(await ask(t, port, handshake('/plain', {}, 'POST /plain HTTP/1.1')), { status: 200, body: '{"posted":true}' })
  t.match(await ask(t, port, handshake('/none')), { status: 404, body: 'nothing here' })
  t.match(await ask(t, port, handshake('/ws/none')), { status: 404, body: 'nothing here' })
  for (const path of ['/101', '/101-later', '/101-async', '/101-hook']) {
    const { status, body } = await ask(t, port, handshake(path))
    t.match([status, JSON.parse(body)], [500, { statusCode: 500, code: 'FST_ERR_WS_UNEXPECTED_101', error: 'Internal Server Error' }], path)
  }
  t.equal(logs.filter(({ level, err }) => level === 50 && err?.code === 'FST_ERR_WS_UNEXPECTED_101').length, 4)
})
