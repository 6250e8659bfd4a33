// Clients as people use them: accepted with the headers that the route sets, refused with a response that they can read.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { WebSocket as UndiciWebSocket } from 'undici'
import { WebSocket as WsWebSocket } from 'ws'
import { type LogLine, startApp, type Teardown } from '../support/app.ts'
import { connectRefused } from '../support/client.ts'
import { count, field, parseHead, SAMPLE_ACCEPT, SAMPLE_KEY } from '../support/raw.ts'

const LONG_BODY = 'a long body. '.repeat(50_000)

/**
 * Starts a server with the routes that every client is tried on. An open connection gets a greeting at once, so that it
 * may come in one packet with the 101; then its messages, and a close with 4000 when it asks for that.
 */
async function startServer (t: Teardown): Promise<{ ws: string, http: string, logs: LogLine[] }> {
  const { port, logs } = await startApp(t, (app) => {
    for (const [path, perMessageDeflate] of [['/echo', false], ['/deflate', true]] as const) {
      app.websocketRoute(path, {
        perMessageDeflate,
        protocols: ['chat.v2', 'chat.v1'],
        onHandshake (conn, request) {
          conn.acceptWith({ headers: { 'x-session': 's1', 'x-authorization': request.headers.authorization ?? 'none', 'set-cookie': ['a=1', 'b=2'] } })
        },
        onConnection (conn) {
          conn.send('welcome')
          conn.on('message', (data, isBinary) => {
            if (!isBinary && String(data) === 'close') conn.close(4000, 'as asked')
            else conn.send(data, { binary: isBinary })
          })
        }
      })
    }
    app.websocketRoute('/refused', {
      schema: { response: { 401: { type: 'object', properties: { error: { type: 'string' } } } } },
      onHandshake (conn) {
        conn.reject({ code: 401, body: { error: 'authorization required' }, headers: { 'www-authenticate': 'Bearer', 'x-reason': 'no token' } })
      }
    })
    app.websocketRoute('/long', { async onHandshake (conn) { conn.reject({ code: 503, body: LONG_BODY }) } })
    app.post('/plain', async (request) => ({ received: request.body }))
  })
  return { ws: `ws://127.0.0.1:${port}`, http: `http://127.0.0.1:${port}`, logs }
}

/** Whether a program runs, for a test that has to be skipped without it. */
function runs (command: string, args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

/** What a program wrote until it ended by itself. */
async function output (t: Test, command: string, args: string[]): Promise<Buffer> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill())
  const chunks: Buffer[] = []
  const errors: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk))
  const [code] = await once(child, 'close') as [number | null]
  if (code !== 0) throw new Error(`${command} ended with ${String(code)}: ${Buffer.concat(errors).toString()}`)
  return Buffer.concat(chunks)
}

// ---- ws ---------------------------------------------------------------------------------------------------------------

t.test('ws', async (t) => {
  const { ws } = await startServer(t)

  for (const [path, extensions] of [['/echo', ''], ['/deflate', 'permessage-deflate']] as const) {
    t.test(`connects to ${path} and has its messages echoed`, async (t) => {
      const socket = new WsWebSocket(ws + path, ['chat.v1', 'chat.v2'], { headers: { authorization: 'Bearer t1' } })
      t.teardown(() => socket.terminate())
      const greeting = once(socket, 'message')
      const [response] = await once(socket, 'upgrade')
      t.match(response.headers, { 'x-session': 's1', 'x-authorization': 'Bearer t1', 'set-cookie': ['a=1', 'b=2'] })
      t.equal(String((await greeting)[0]), 'welcome')
      t.equal(socket.protocol, 'chat.v2')
      t.equal(socket.extensions, extensions)
      for (const message of ['Grüße '.repeat(1000), Buffer.alloc(100_000, 7)]) {
        socket.send(message)
        const [data, isBinary] = await once(socket, 'message') as [Buffer, boolean]
        t.ok(data.equals(Buffer.from(message)))
        t.equal(isBinary, typeof message !== 'string')
      }
      socket.send('close')
      const [code, reason] = await once(socket, 'close')
      t.same([code, String(reason)], [4000, 'as asked'])
    })
  }

  t.test('reads the response that refuses it', async (t) => {
    const { status, headers, body } = await connectRefused(t, `${ws}/refused`)
    t.equal(status, 401)
    t.match(headers, { 'www-authenticate': 'Bearer', 'x-reason': 'no token', connection: 'close' })
    t.equal(body, '{"error":"authorization required"}')
  })

  t.test('reads all of a long refusal', async (t) => {
    const { status, body } = await connectRefused(t, `${ws}/long`)
    t.equal(status, 503)
    t.ok(body === LONG_BODY)
  })
})

// ---- the WebSocket of the web, as undici and Node.js have it ------------------------------------------------------------

type WebWebSocket = typeof UndiciWebSocket

const webClients: Array<[name: string, Client: WebWebSocket | undefined, reason: string]> = [
  ['the WebSocket of undici', UndiciWebSocket, ''],
  // The same class with the types of the DOM; undici's say more about the options.
  ['the global WebSocket', globalThis.WebSocket as unknown as WebWebSocket | undefined, 'this version of Node.js has no global WebSocket']
]

/** The next event of a WebSocket. */
async function event<Type extends 'open' | 'message' | 'error' | 'close'> (socket: InstanceType<WebWebSocket>, type: Type) {
  return await new Promise<Parameters<NonNullable<InstanceType<WebWebSocket>[`on${Type}`]>>[0]>((resolve) => {
    socket.addEventListener(type, resolve as () => void, { once: true })
  })
}

for (const [name, Client, reason] of webClients) {
  t.test(name, Client === undefined ? { skip: reason } : {}, async (t) => {
    if (Client === undefined) return
    const { ws, logs } = await startServer(t)

    for (const [path, extensions] of [['/echo', /^$/], ['/deflate', /^permessage-deflate/]] as const) {
      t.test(`connects to ${path} and has its messages echoed`, async (t) => {
        const socket = new Client(ws + path, { protocols: ['chat.v1', 'chat.v2'], headers: { authorization: 'Bearer t1' } })
        socket.binaryType = 'arraybuffer'
        t.equal((await event(socket, 'message')).data, 'welcome')
        t.equal(socket.protocol, 'chat.v2')
        t.match(socket.extensions, extensions)
        const text = 'Grüße '.repeat(1000)
        socket.send(text)
        t.equal((await event(socket, 'message')).data, text)
        const binary = Buffer.alloc(100_000, 7)
        socket.send(binary)
        t.ok(binary.equals(Buffer.from((await event(socket, 'message')).data as ArrayBuffer)))
        socket.send('close')
        t.match(await event(socket, 'close'), { code: 4000, reason: 'as asked', wasClean: true })
      })
    }

    // Of the response they tell nothing. To a 401 newer versions ask a second time, as a page that logs in would.
    t.test('gets an error event when it is refused', async (t) => {
      const socket = new Client(`${ws}/refused`)
      t.equal((await Promise.race([event(socket, 'open'), event(socket, 'error')])).type, 'error')
      t.match(logs.findLast(({ msg }) => msg === 'incoming request'), { req: { url: '/refused' } })
    })
  })
}

t.test('the WebSocket of undici tells the headers of the 101', async (t) => {
  const { ws } = await startServer(t)
  const responses: unknown[] = []
  const note = (message: unknown): void => { responses.push((message as { handshakeResponse: unknown }).handshakeResponse) }
  subscribe('undici:websocket:open', note)
  t.teardown(() => unsubscribe('undici:websocket:open', note))
  const socket = new UndiciWebSocket(`${ws}/echo`, { headers: { authorization: 'Bearer t1' } })
  await event(socket, 'open')
  socket.close()
  await event(socket, 'close')
  t.match(responses, [{ status: 101, headers: { 'x-session': 's1', 'x-authorization': 'Bearer t1' } }])
})

// ---- curl ---------------------------------------------------------------------------------------------------------------

const UPGRADE = [
  '-H', 'Connection: Upgrade', '-H', 'Upgrade: websocket', '-H', 'Sec-WebSocket-Version: 13', '-H', `Sec-WebSocket-Key: ${SAMPLE_KEY}`
]
const curlOptions = runs('curl', ['--version']) ? {} : { skip: 'curl is not installed' }

t.test('curl', curlOptions, async (t) => {
  const { http } = await startServer(t)
  const curl = (...args: string[]): string[] => ['-q', '-sS', '-i', '-N', '--noproxy', '*', '--http1.1', ...args]

  t.test('shows the head of the 101 and the frames that follow', async (t) => {
    const child = spawn('curl', curl(...UPGRADE, '-H', 'Sec-WebSocket-Protocol: chat.v1', `${http}/echo`), { stdio: ['ignore', 'pipe', 'ignore'] })
    t.teardown(() => child.kill())
    const frame = Buffer.from('\x81\x07welcome', 'latin1')
    const response = parseHead(await readUntil(child, frame))
    t.equal(response.status, 101)
    t.equal(field(response, 'sec-websocket-accept'), SAMPLE_ACCEPT)
    t.equal(field(response, 'sec-websocket-protocol'), 'chat.v1')
    t.equal(field(response, 'x-session'), 's1')
    t.equal(count(response, 'set-cookie'), 2)
    t.ok(response.rest.equals(frame))
  })

  t.test('shows the status, the headers and the body of a refusal, and ends', async (t) => {
    const response = parseHead(await output(t, 'curl', curl(...UPGRADE, `${http}/refused`)))
    t.equal(response.status, 401)
    t.equal(field(response, 'www-authenticate'), 'Bearer')
    t.equal(field(response, 'x-reason'), 'no token')
    t.equal(field(response, 'connection'), 'close')
    t.equal(response.rest.toString(), '{"error":"authorization required"}')
  })

  t.test('gets all of a long refusal', async (t) => {
    const response = parseHead(await output(t, 'curl', curl(...UPGRADE, `${http}/long`)))
    t.equal(response.status, 503)
    t.ok(response.rest.equals(Buffer.from(LONG_BODY)))
  })

  t.test('is told to upgrade when it asks for a WebSocket route as for a page', async (t) => {
    const response = parseHead(await output(t, 'curl', curl(`${http}/echo`)))
    t.equal(response.status, 426)
    t.equal(field(response, 'upgrade'), 'websocket')
    t.match(JSON.parse(response.rest.toString()), { code: 'FST_ERR_WS_UPGRADE_REQUIRED' })
  })

  const http2Options = runs('curl', ['--http2', '--version']) ? {} : { skip: 'this curl is built without HTTP/2' }
  t.test('is served as plain HTTP when it offers to upgrade to HTTP/2', http2Options, async (t) => {
    const args = ['-q', '-sS', '-i', '--noproxy', '*', '--http2', '-H', 'content-type: text/plain', '-d', 'a body', `${http}/plain`]
    const response = parseHead(await output(t, 'curl', args))
    t.equal(response.status, 200)
    t.equal(response.rest.toString(), '{"received":"a body"}')
  })
})

/** What a program has written when it has written some bytes. */
async function readUntil (child: ChildProcess, bytes: Buffer): Promise<Buffer> {
  let received = Buffer.alloc(0)
  for await (const chunk of child.stdout ?? []) {
    received = Buffer.concat([received, chunk as Buffer])
    if (received.includes(bytes)) return received
  }
  throw new Error(`the program ended after ${JSON.stringify(received.toString('latin1').slice(0, 500))}`)
}

// ---- python3-websockets -------------------------------------------------------------------------------------------------

// Debian's package is for Debian's python3, which need not be the first one on the path.
const python = ['/usr/bin/python3', 'python3'].find((command) => runs(command, ['-c', 'import websockets']))
const pythonOptions = python === undefined ? { skip: 'python3-websockets is not installed' } : {}

t.test('python3-websockets', pythonOptions, async (t) => {
  const { ws } = await startServer(t)
  const script = fileURLToPath(new URL('../support/websockets-client.py', import.meta.url))
  const run = async (t: Test, ...args: string[]): Promise<Record<string, unknown>> =>
    JSON.parse(String(await output(t, python ?? '', [script, ...args]))) as Record<string, unknown>

  for (const [path, extensions] of [['/echo', []], ['/deflate', ['permessage-deflate']]] as const) {
    t.test(`connects to ${path} and has its messages echoed`, async (t) => {
      const { headers, ...rest } = await run(t, 'accepted', ws + path, 't1', 'chat.v1', 'chat.v2')
      t.match(headers, { 'x-session': 's1', 'x-authorization': 'Bearer t1', 'sec-websocket-protocol': 'chat.v2' })
      t.same(rest, {
        subprotocol: 'chat.v2', extensions, first: 'welcome', textIsEchoed: true, binaryIsEchoed: true, close: [4000, 'as asked']
      })
    })
  }

  t.test('connects without a subprotocol', async (t) => {
    const { subprotocol, headers } = await run(t, 'accepted', `${ws}/echo`, 't1')
    t.equal(subprotocol, null)
    t.notOk('sec-websocket-protocol' in (headers as object))
  })

  t.test('reads the response that refuses it', async (t) => {
    t.match(await run(t, 'refused', `${ws}/refused`), {
      error: /rejected WebSocket connection: HTTP 401/,
      status: 401,
      headers: { 'www-authenticate': 'Bearer', 'x-reason': 'no token', connection: 'close' },
      body: '{"error":"authorization required"}'
    })
  })

  t.test('reads all of a long refusal', async (t) => {
    const { status, body } = await run(t, 'refused', `${ws}/long`)
    t.equal(status, 503)
    t.ok(body === LONG_BODY)
  })
})
