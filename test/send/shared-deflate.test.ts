// A message to many is compressed once for all connections that have agreed on the same parameters, where none of them needs
// to remember what came before.
import { randomBytes } from 'node:crypto'
import { constants, inflateRawSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { WebSocketRouteOptions } from '../../index.ts'
import { SharedDeflate } from '../../lib/send/shared-deflate.ts'
import { startApp } from '../support/app.ts'
import { connect } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { type Frame, openRaw, type RawClient } from '../support/raw.ts'

const TEXT = 'tea and cake '.repeat(200)
const TAIL = Buffer.from([0, 0, 0xff, 0xff])

async function start (t: Test, perMessageDeflate: WebSocketRouteOptions['perMessageDeflate'] = true) {
  const { app, port } = await startApp(t, (app) => { app.websocketRoute('/', { perMessageDeflate, onConnection () {} }) })
  const open = async (parameters?: string): Promise<RawClient> => await openRaw(t, port, '/', parameters === undefined ? {} : { 'Sec-WebSocket-Extensions': `permessage-deflate${parameters}` })
  return { app, port, open }
}

function countCompressions (t: Test): () => number {
  let count = 0
  const { compress } = SharedDeflate.prototype
  SharedDeflate.prototype.compress = function (payload) {
    count++
    return compress.call(this, payload)
  }
  t.teardown(() => { SharedDeflate.prototype.compress = compress })
  return () => count
}

function inflated ({ payload }: Frame): string {
  return inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH }).toString()
}

t.test('connections without context takeover get the same compressed frame, and others their own', async (t) => {
  const { app, open } = await start(t)
  const compressions = countCompressions(t)
  const shared = [await open('; server_no_context_takeover'), await open('; client_no_context_takeover; server_no_context_takeover')]
  const others = [await open(''), await open('; client_no_context_takeover')]
  const plain = await open()
  for (const message of [TEXT, Buffer.from(TEXT)]) t.equal(app.websockets.broadcast(message), 5)
  t.equal(compressions(), 2, 'once for each message')
  for (const client of shared) {
    const frames = await client.untilFrames(2)
    t.same(frames.map(({ first }) => first), [0xc1, 0xc2])
    for (const frame of frames) t.equal(inflated(frame), TEXT)
  }
  t.same(shared[0]?.frames, shared[1]?.frames)
  for (const client of others) {
    const [first, second] = await client.untilFrames(2)
    t.same([first?.first, second?.first], [0xc1, 0xc2])
    t.ok((second?.payload.length ?? 0) < (first?.payload.length ?? 0), 'the second refers to the first')
  }
  t.same((await plain.untilFrames(2)).map(({ first, payload }) => [first, payload.toString()]), [[0x81, TEXT], [0x82, TEXT]])
})

t.test('a smaller window is another set of parameters', async (t) => {
  const { app, open } = await start(t)
  const compressions = countCompressions(t)
  // What repeats only after 3000 bytes is out of reach of a window of 512.
  const far = randomBytes(3_000).toString('base64')
  const clients = [
    await open('; server_no_context_takeover; server_max_window_bits=9'), await open('; server_no_context_takeover; server_max_window_bits=9'),
    await open('; server_no_context_takeover; server_max_window_bits=15'), await open('; server_no_context_takeover')
  ]
  app.websockets.broadcast(far + far)
  t.equal(compressions(), 2)
  const lengths = await Promise.all(clients.map(async (client) => {
    const [frame] = await client.untilFrames(1)
    t.equal(inflated(frame as Frame), far + far)
    return frame?.payload.length ?? 0
  }))
  t.equal(lengths[0], lengths[1])
  t.equal(lengths[2], lengths[3])
  t.ok((lengths[0] ?? 0) > (lengths[2] ?? 0))
})

t.test('serverNoContextTakeover of the route does it for all clients, with its own threshold and options of zlib', async (t) => {
  const { app, open } = await start(t, { serverNoContextTakeover: true, threshold: 10, zlibDeflateOptions: { level: 1 } })
  const client = await open('')
  const compressions = countCompressions(t)
  app.websockets.broadcast('123456789')
  app.websockets.broadcast('aaaaaaaaaaaaaaaaaaaa')
  app.websockets.broadcast(randomBytes(2_000))
  const [short, long, noise] = await client.untilFrames(3)
  t.same([short?.first, short?.payload.toString()], [0x81, '123456789'], 'below the threshold')
  t.same([long?.first, long && inflated(long)], [0xc1, 'aaaaaaaaaaaaaaaaaaaa'])
  t.same([noise?.first, noise?.payload.length], [0x82, 2_000], 'what cannot be made smaller goes as it is')
  t.equal(compressions(), 2)
})

t.test('a message that would take long to compress is compressed by each connection for itself', async (t) => {
  const { app, open } = await start(t)
  const clients = [await open('; server_no_context_takeover'), await open('; server_no_context_takeover')]
  const message = 'x'.repeat(131_073)
  app.websockets.broadcast(message)
  app.websockets.broadcast('next')
  for (const client of clients) {
    const [long, next] = await client.untilFrames(2)
    t.equal(long?.first, 0xc1)
    t.equal(long && inflated(long), message)
    t.equal(next?.payload.toString(), 'next')
  }
})

t.test('keeps the order with what ws is compressing, and with fragments', async (t) => {
  const { app, port } = await start(t, { serverNoContextTakeover: true, threshold: 0 })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`, [], { perMessageDeflate: true })
  const seen: string[] = []
  socket.on('message', (data) => seen.push(String(data as Buffer).slice(0, 10)))
  const [conn] = app.websockets
  const called: string[] = []
  app.websockets.broadcast('first')
  conn?.send('sent by ws'.padEnd(100_000, 'x'), () => { called.push('by ws') })
  app.websockets.broadcast('behind it')
  conn?.send('frag', { fin: false })
  conn?.send('ment', { fin: true })
  app.websockets.broadcast('last')
  await eventually(() => seen.length === 5)
  t.same(seen, ['first', 'sent by ws', 'behind it', 'fragment', 'last'])
  t.same(called, ['by ws'])
  await eventually(() => conn?.bufferedAmount === 0)
  const compressions = countCompressions(t)
  app.websockets.broadcast('shared again')
  t.equal(compressions(), 1)
  await eventually(() => seen.length === 6)
})

t.test('binary data may be used again at once, also where ws compresses them', async (t) => {
  const { app, open } = await start(t)
  const client = await open('')
  const buffer = Buffer.alloc(2_000, 'a')
  app.websockets.broadcast('')
  app.websockets.broadcast(buffer) // waits for the one before it
  buffer.fill('b')
  const [, frame] = await client.untilFrames(2)
  t.equal(frame && inflated(frame).slice(0, 2_000), 'a'.repeat(2_000))
})
