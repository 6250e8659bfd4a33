// One message at a time, whatever the chunks that they come in.
import { once } from 'node:events'
import { connect as connectSocket, createServer, type AddressInfo, type Socket } from 'node:net'
import t from 'tap'
import { PacedStream } from '../../lib/receive/paced-stream.ts'
import type { WebSocketConnection } from '../../index.ts'
import type { Teardown } from '../support/app.ts'
import { connect, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, maskedFrame, openRaw, textFrame } from '../support/raw.ts'
import { startApp } from '../support/app.ts'

t.setTimeout(240_000)

async function pair (t: Teardown): Promise<{ client: Socket, socket: Socket }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const client = connectSocket({ port: (server.address() as AddressInfo).port, allowHalfOpen: true })
  t.teardown(() => client.destroy())
  client.on('error', () => {})
  const [socket] = await once(server, 'connection') as [Socket]
  socket.on('error', () => {})
  return { client, socket }
}

/** What has been passed on, message by message. */
function collect (stream: PacedStream): Buffer[] {
  const parts: Buffer[] = []
  stream.on('data', (part: Buffer) => parts.push(part))
  return parts
}

/** What happens when ws has told of a message, and there is room for the next. */
function next (stream: PacedStream): void {
  stream.noteReceived()
  stream.next()
}

const long = maskedFrame(0x82, Buffer.alloc(200_000, 1))
const messages = [
  textFrame('a'), maskedFrame(0x81, Buffer.alloc(0)), maskedFrame(0x82, Buffer.alloc(300)), long,
  Buffer.concat([maskedFrame(0x01, Buffer.from('b')), maskedFrame(0x89, Buffer.from('ping')), maskedFrame(0x00, Buffer.alloc(0)), maskedFrame(0x80, Buffer.from('c'))])
]

for (const size of [1, 7, 100_000, Infinity]) {
  t.test(`passes on one message at a time out of chunks of ${size} bytes`, async (t) => {
    const { client, socket } = await pair(t)
    const all = Buffer.concat(messages)
    const head = all.subarray(0, 3)
    const stream = new PacedStream(socket, head, 5000)
    const parts = collect(stream)
    const received = (): Buffer => Buffer.concat(parts)
    const rest = all.subarray(3)
    void (async () => {
      // Bytes by themselves would take long for the longest of them.
      const step = size < 100 ? size : Math.min(size, rest.length)
      for (let i = 0; i < rest.length;) {
        const count = i < 400 || i > rest.length - 100 ? step : Math.max(step, 5000)
        client.write(rest.subarray(i, i + count))
        i += count
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    let length = 0
    for (const message of messages) {
      length += message.length
      await eventually(() => received().length >= length)
      await new Promise((resolve) => setTimeout(resolve, 5))
      t.equal(received().length, length, 'nothing of the next one')
      next(stream)
    }
    t.ok(received().equals(all))
    client.end()
    await once(stream, 'end')
  })
}

t.test('what the socket has read before comes after the head', async (t) => {
  const { socket } = await pair(t)
  socket.unshift(Buffer.concat([textFrame('a').subarray(3), textFrame('b')]))
  const stream = new PacedStream(socket, textFrame('a').subarray(0, 3), 5000)
  await new Promise((resolve) => setImmediate(resolve))
  const parts = collect(stream)
  await eventually(() => Buffer.concat(parts).equals(textFrame('a')))
  next(stream)
  await eventually(() => Buffer.concat(parts).equals(Buffer.concat([textFrame('a'), textFrame('b')])))
  t.pass('in order')
})

t.test('control frames are passed on at once, and so is what comes behind a close frame, which is no frame', async (t) => {
  const { client, socket } = await pair(t)
  const stream = new PacedStream(socket, Buffer.alloc(0), 5000)
  const parts = collect(stream)
  const bytes = Buffer.concat([maskedFrame(0x89, Buffer.from('a')), maskedFrame(0x8a, Buffer.alloc(0)), Buffer.from([0x81, 0])])
  client.write(bytes)
  await eventually(() => Buffer.concat(parts).length === bytes.length)
  client.write(textFrame('held'))
  await new Promise((resolve) => setTimeout(resolve, 10))
  t.equal(Buffer.concat(parts).length, bytes.length)
  stream.free()
  client.write(Buffer.concat(messages))
  await eventually(() => Buffer.concat(parts).length === bytes.length + textFrame('held').length + Buffer.concat(messages).length)
  t.pass('freed, it holds nothing')
  const last = await pair(t)
  const closing = collect(new PacedStream(last.socket, Buffer.alloc(0), 5000))
  const rest = Buffer.concat([closeFrame(1000), textFrame('a'), textFrame('b')])
  last.client.write(rest)
  await eventually(() => Buffer.concat(closing).equals(rest))
})

t.test('what nobody reads is not read from the socket, and lost to nobody', async (t) => {
  const { client, socket } = await pair(t)
  const stream = new PacedStream(socket, Buffer.alloc(0), 5000)
  const all = Buffer.concat(Array.from({ length: 100 }, () => long))
  client.end(all)
  await eventually(() => socket.isPaused())
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.ok(socket.bytesRead < 1_000_000, `${socket.bytesRead} bytes were read`)
  let length = 0
  stream.on('data', (part: Buffer) => {
    length += part.length
    if (length % long.length === 0) next(stream)
  })
  await once(stream, 'end')
  t.equal(length, all.length)
})

t.test('what is written arrives, in one piece or in many, and its callbacks are called', async (t) => {
  const { client, socket } = await pair(t)
  const stream = new PacedStream(socket, Buffer.alloc(0), 5000)
  let length = 0
  client.on('data', (chunk: Buffer) => { length += chunk.length })
  let called = 0
  for (let i = 0; i < 50; i++) stream.write(Buffer.alloc(100_000), () => { called++ })
  stream.end()
  await once(client, 'end')
  t.equal(length, 5_000_000)
  await eventually(() => called === 50)
  client.end()
  stream.resume()
  await once(stream, 'close')
  t.ok(socket.destroyed)
})

t.test('it ends with the socket, and the socket with it', async (t) => {
  const first = await pair(t)
  const stream = new PacedStream(first.socket, Buffer.alloc(0), 5000)
  first.client.resetAndDestroy()
  await once(stream, 'close')
  const second = await pair(t)
  new PacedStream(second.socket, Buffer.alloc(0), 5000).destroy()
  second.client.resume()
  await once(second.client, 'end')
  t.ok(second.socket.destroyed)
})

t.test('a compressed echo keeps the order, whatever else comes between', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      perMessageDeflate: { threshold: 0 },
      async onMessage (conn, message) {
        if (String(message).length % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
        conn.send(message)
      }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`, [], { perMessageDeflate: { threshold: 0 } })
  t.match(socket.extensions, /permessage-deflate/)
  const sent = Array.from({ length: 300 }, (_, i) => `${i} `.repeat(i % 50))
  const received: string[] = []
  socket.on('message', (data) => received.push(String(data)))
  for (const text of sent) {
    socket.send(text)
    if (text.length % 7 === 0) socket.ping()
  }
  await eventually(() => received.length === sent.length)
  t.same(received, sent)
})

t.test('a compressed connection closes like every other', async (t) => {
  const closes: unknown[] = []
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      perMessageDeflate: true,
      closeTimeout: 300_000,
      onMessage (conn, message) { if (message === 'close') conn.close(4001, 'asked'); else conn.send(message) },
      onClose (_conn, close) { closes.push(close) }
    })
  })
  const headers = { 'Sec-WebSocket-Extensions': 'permessage-deflate' }
  const peer = await openRaw(t, port, '/', headers)
  peer.write(Buffer.concat([textFrame('a'), closeFrame(1000, 'bye'), textFrame('late'), textFrame('later'), textFrame('latest')]))
  t.same(await peer.untilClose(), { code: 1000, reason: 'bye' })
  await peer.untilEnd()
  const server = await openRaw(t, port, '/', headers)
  server.write(Buffer.concat([textFrame('close'), textFrame('late'), textFrame('later')]))
  t.same(await server.untilClose(), { code: 4001, reason: 'asked' })
  server.write(Buffer.concat([textFrame('latest'), closeFrame(4001)]))
  await server.untilEnd()
  const wrong = await openRaw(t, port, '/', headers)
  wrong.write(Buffer.concat([textFrame('a'), Buffer.from([0xff, 0xff]), textFrame('b')]))
  t.equal((await wrong.untilClose()).code, 1002)
  await wrong.untilEnd()
  await eventually(() => closes.length === 3)
  t.match(closes, [{ code: 1000, initiator: 'peer' }, { code: 4001, initiator: 'server' }, { code: 1002, initiator: 'server' }])
})

t.test('what a handler has not done with does not keep a compressed connection from closing', async (t) => {
  const opened = deferred<WebSocketConnection>()
  const held = deferred()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      perMessageDeflate: true,
      closeTimeout: 300_000,
      async onMessage (conn) {
        opened.resolve(conn)
        await held.promise
      }
    })
  })
  const client = await openRaw(t, port, '/', { 'Sec-WebSocket-Extensions': 'permessage-deflate' })
  client.write(Buffer.concat(['a', 'b', 'c'].map(textFrame)))
  const conn = await opened.promise
  conn.close(1000)
  client.write(closeFrame(1000))
  await once(conn, 'close')
  t.pass('its close frame was read')
  held.resolve()
})

const DEFLATE = { 'Sec-WebSocket-Extensions': 'permessage-deflate' }

t.test('what was read from a compressed connection before a reset is handled, also when a write fails meanwhile', async (t) => {
  const closed = deferred<unknown>()
  const sockets: Socket[] = []
  const seen: string[] = []
  const goOn = deferred()
  const { port } = await startApp(t, (app) => {
    app.server.on('connection', (socket) => sockets.push(socket))
    app.websocketRoute('/', {
      perMessageDeflate: true,
      highWaterMark: 1000,
      async onMessage (conn, message) {
        seen.push(String(message))
        await goOn.promise
        conn.send('nobody reads this')
        await new Promise((resolve) => setImmediate(resolve))
      },
      onClose (_conn, close) { closed.resolve(close) }
    })
  })
  const client = await openRaw(t, port, '/', DEFLATE)
  const before = sockets[0]?.bytesRead ?? 0
  const texts = Array.from({ length: 50 }, (_, i) => `message ${i}`)
  const bytes = Buffer.concat(texts.map(textFrame))
  client.write(bytes)
  await eventually(() => seen.length === 1 && sockets[0]?.bytesRead === before + bytes.length)
  client.socket.resetAndDestroy()
  await eventually(() => sockets[0]?.destroyed === true)
  goOn.resolve()
  t.match(await closed.promise, { code: 1006, initiator: 'network' })
  t.same(seen, texts)
})

t.test('the signal of a compressed connection is aborted when the socket is lost, and what nobody takes is given up after closeTimeout', async (t) => {
  const closed = deferred<unknown>()
  const opened = deferred<WebSocketConnection>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      perMessageDeflate: true,
      highWaterMark: 100,
      closeTimeout: 50,
      onMessage (conn) {
        opened.resolve(conn)
        return once(conn.signal, 'abort')
      },
      onClose (_conn, close) { closed.resolve(close) }
    })
  })
  const client = await openRaw(t, port, '/', DEFLATE)
  client.write(Buffer.concat(['a', 'b', 'c', 'd'].map(textFrame)))
  const conn = await opened.promise
  const { signal } = conn
  conn.pause()
  client.socket.resetAndDestroy()
  await once(signal, 'abort')
  t.match(signal.reason, { code: 'FST_ERR_WS_CLOSED', closeCode: 1006 })
  t.match(await closed.promise, { initiator: 'network' })
})

t.test('the socket of a compressed connection has what a net.Socket has', async (t) => {
  const opened = deferred<WebSocketConnection>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { perMessageDeflate: true, onConnection (conn) { opened.resolve(conn) } })
  })
  await openRaw(t, port, '/', DEFLATE)
  const { _socket: socket, request } = await opened.promise as unknown as { _socket: Socket, request: { socket: Socket } }
  t.equal(socket.remoteAddress, '127.0.0.1')
  t.equal(socket.localPort, port)
  t.equal(socket.remotePort, request.socket.remotePort)
  t.equal(socket.bytesRead, request.socket.bytesRead)
  t.equal(socket.setKeepAlive(true).setNoDelay(true).ref(), socket)
  t.same(socket.address(), request.socket.address())
  t.equal((socket as unknown as { getProtocol (): unknown }).getProtocol(), undefined, 'it is no TLS socket')
  const timedOut = once(socket, 'timeout')
  t.equal(socket.setTimeout(10), socket)
  await timedOut
  t.equal(socket.timeout, 10)
})

t.test('an offer that is declined leaves a connection that works', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { perMessageDeflate: true, onMessage (conn, message) { conn.send(message) } })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`, [], { perMessageDeflate: false, headers: { 'Sec-WebSocket-Extensions': 'x-unknown' } })
  for (const text of ['a', 'b', 'c']) {
    socket.send(text)
    t.equal(await nextMessage(socket), text)
  }
})
