// A message that is sent in fragments has no other one between them (RFC 6455 section 5.4): what is published meanwhile, and
// what sendMessage() sends, waits for the last of them. Control frames do not.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { constants, createInflateRaw } from 'node:zlib'
import t from 'tap'
import type { MessageEvent, WebSocketConnection } from '../../index.ts'
import { connect } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { DEFLATE, DEFLATE_SHARED, openConnection } from '../support/open-connection.ts'
import { closeFrame, type Frame, maskedFrame, textFrame } from '../support/raw.ts'

t.setTimeout(240_000)

const brief = ({ first, payload }: Frame): string => `${first.toString(16)} ${payload.toString()}`

t.test('whole messages wait for the last fragment, in their order, and control frames do not', async (t) => {
  const { app, client, conn } = await openConnection(t)
  conn.subscribe('tea')
  conn.send('a', { fin: false })
  app.websockets.publish('tea', 'published')
  conn.ping('ping')
  app.websockets.broadcast(Buffer.from('broadcast'))
  conn.send('b', { fin: false })
  t.equal(conn.sendMessage({ sent: true }), true)
  client.write(maskedFrame(0x89, Buffer.from('answer me')))
  t.same((await client.untilFrames(4)).map(brief), ['1 a', '89 ping', '0 b', '8a answer me'])
  conn.send('c')
  conn.send('next')
  t.same((await client.untilFrames(9)).map(brief).slice(4), ['80 c', '81 published', '82 broadcast', '81 {"sent":true}', '81 next'])
})

t.test('one message may be fragmented after the other', async (t) => {
  const { app, client, conn } = await openConnection(t)
  for (const i of [1, 2]) {
    conn.send(`a${i}`, { fin: false })
    app.websockets.broadcast(`between ${i}`)
    conn.send(`b${i}`, { fin: true })
  }
  t.same((await client.untilFrames(6)).map(brief), ['1 a1', '80 b1', '81 between 1', '1 a2', '80 b2', '81 between 2'])
})

t.test('a Blob waits as well, and what is sent after it', async (t) => {
  const { app, client, conn } = await openConnection(t)
  conn.send(new Blob(['a']), { fin: false })
  conn.sendMessage(new Blob(['blob']))
  app.websockets.broadcast('behind it')
  conn.send('b')
  t.same((await client.untilFrames(4)).map(brief), ['2 a', '80 b', '82 blob', '81 behind it'])
})

t.test('what waits is a copy', async (t) => {
  const { client, conn } = await openConnection(t)
  const data = Buffer.from('as it was')
  conn.send('a', { fin: false })
  conn.sendMessage(data)
  data.fill('x')
  conn.send('b')
  t.same((await client.untilFrames(3)).map(brief), ['1 a', '80 b', '82 as it was'])
})

for (const [name, headers] of [['', DEFLATE], [' without context takeover', DEFLATE_SHARED]] as const) {
  t.test(`so it is with deflate${name}`, async (t) => {
    const { app, client, conn } = await openConnection(t, {}, headers)
    const parts = ['a', 'b', 'c'].map((letter) => letter.repeat(2_000))
    const messages = ['published '.repeat(200), 'short', 'large '.repeat(30_000)]
    conn.send(parts[0] as string, { fin: false })
    app.websockets.broadcast(messages[0])
    conn.send(parts[1] as string, { fin: false })
    app.websockets.broadcast(messages[1])
    conn.ping('between')
    conn.send(parts[2] as string)
    app.websockets.broadcast(messages[2])
    const frames = await client.untilFrames(7)
    const short = headers === DEFLATE ? 'c1' : '81'
    t.same(frames.map(({ first }) => first.toString(16)), ['41', '0', '89', '80', 'c1', short, 'c1'])
    const data = frames.filter(({ first }) => first !== 0x89)
    t.same([await inflate(data.slice(0, 3), headers), await inflate([data[3] as Frame], headers, data.slice(0, 3))], [parts.join(''), messages[0]])
  })
}

// Each frame, with all that came before it where that is needed.
async function inflate (frames: Frame[], headers: object, before: Frame[] = []): Promise<string> {
  const stream = createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH })
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  const tail = Buffer.from([0, 0, 0xff, 0xff])
  const pass = async (frames: Frame[]): Promise<string> => {
    chunks.length = 0
    for (const { payload } of frames) stream.write(payload)
    stream.write(tail)
    await new Promise<void>((resolve) => stream.flush(constants.Z_SYNC_FLUSH, resolve))
    return Buffer.concat(chunks).toString()
  }
  if (headers === DEFLATE && before.length > 0) await pass(before)
  return await pass(frames)
}

t.test('a client of ws with deflate gets whole messages', async (t) => {
  const { app, port } = await openConnection(t)
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`, [], { perMessageDeflate: true })
  const [, conn] = app.websockets as Iterable<WebSocketConnection>
  const seen: string[] = []
  socket.on('message', (data) => seen.push(String(data as Buffer).slice(0, 20)))
  for (let i = 0; i < 20; i++) {
    conn?.send(`fragmented ${i} `.padEnd(5_000, 'x'), { fin: false })
    app.websockets.broadcast(`published ${i} `.padEnd(3_000, 'y'))
    conn?.send('last')
  }
  await eventually(() => seen.length === 40)
  t.same(seen.map((text) => text.replace(/[xy]+$/, '').trim()), Array.from({ length: 20 }, (_, i) => [`fragmented ${i}`, `published ${i}`]).flat())
})

t.test('what waits counts for bufferedAmount and maxBufferedAmount, and makes no peer congested', async (t) => {
  const { app, client, conn, errors } = await openConnection(t, { maxBufferedAmount: 200_000 })
  conn.send('a', { fin: false })
  t.equal(conn.bufferedAmount, 0)
  const text = 'x'.repeat(100_000)
  app.websockets.broadcast(text)
  t.equal(conn.bufferedAmount, 100_000)
  t.equal(conn.sendMessage(text), true)
  await conn.drained()
  conn.send('b', { fin: false })
  t.equal(conn.bufferedAmount, 200_000)
  t.same(app.websockets.stats.sent, { messages: 0, bytes: 2 }, 'it is not sent yet')
  client.write(textFrame('is read'))
  conn.send('c')
  t.same((await client.untilFrames(5)).map(({ first, payload }) => [first, payload.length]), [[1, 1], [0, 1], [0x80, 1], [0x81, 100_000], [0x81, 100_000]])
  t.same(app.websockets.stats.sent, { messages: 3, bytes: 200_003 })
  await eventually(() => conn.bufferedAmount === 0)

  conn.send('a', { fin: false })
  for (let i = 0; i < 3; i++) app.websockets.broadcast(text)
  t.same([errors, conn.readyState], [[], conn.OPEN])
  app.websockets.broadcast('one too many')
  t.match(errors, [{ code: 'FST_ERR_WS_SLOW_CONSUMER', message: /: 300000 bytes wait/ }])
  t.not(conn.readyState, conn.OPEN)
})

t.test('a peer that is slow when the last fragment is sent stays so, and gets all', async (t) => {
  const order: string[] = []
  const { client, conn } = await openConnection(t, {
    onMessage (conn: WebSocketConnection, message: string) {
      order.push(message)
      conn.send(`answer to ${message}`)
    }
  })
  client.socket.pause()
  conn.send('a'.repeat(60_000), { fin: false })
  while (conn.bufferedAmount < 65_536) {
    conn.send('b'.repeat(60_000), { fin: false })
    await new Promise((resolve) => setImmediate(resolve))
  }
  conn.sendMessage('waited')
  conn.sendMessage(new Blob(['x'.repeat(100_000)]))
  conn.sendMessage('last')
  conn.send('end')
  client.write(textFrame('question'))
  client.socket.resume()
  await client.until(() => client.frames.some(({ payload }) => payload.toString() === 'answer to question'))
  const frames = client.frames.map(({ first, payload }) => `${first.toString(16)} ${payload.toString().slice(0, 10)}`)
  t.same(frames.slice(frames.indexOf('80 end')), ['80 end', '81 waited', '82 xxxxxxxxxx', '81 last', '81 answer to '])
})

for (const [how, end] of Object.entries<(conn: WebSocketConnection) => unknown>({
  'is closed': (conn) => conn.close(4000),
  'is terminated': (conn) => conn.terminate()
})) {
  t.test(`what waits when the connection ${how} is dropped`, async (t) => {
    const { app, client, conn, close, errors } = await openConnection(t, { closeTimeout: 50 })
    conn.send('a', { fin: false })
    app.websockets.broadcast('dropped')
    conn.sendMessage('dropped')
    const gone = once(conn, 'close')
    end(conn)
    t.equal(conn.sendMessage('dropped'), false)
    conn.send('b')
    await client.untilEnd()
    client.write(closeFrame(4000))
    await gone
    await close
    t.same(client.frames.map(({ first }) => first.toString(16)), how === 'is closed' ? ['1', '88'] : ['1'])
    t.same([errors, app.websockets.stats.sent], [[], { messages: 0, bytes: 1 }])
  })
}

t.test('a message is told to be sent when it is', async (t) => {
  const { app, conn } = await openConnection(t)
  const told: unknown[] = []
  const note = (event: unknown): void => { told.push((event as MessageEvent).data) }
  subscribe('fastify-websocket-route.message.sent', note)
  t.teardown(() => unsubscribe('fastify-websocket-route.message.sent', note))
  conn.send('a', { fin: false })
  app.websockets.broadcast('later')
  conn.send('b')
  t.same(told, ['a', 'b', 'later'])
})
