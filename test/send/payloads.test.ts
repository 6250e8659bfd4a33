// What can be sent is what ws sends: each call is made on a connection and on a socket of a bare ws server, and both do the same,
// on the wire and to the caller. What cannot be sent throws before anything has changed.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { directFrames } from '../../lib/seams/direct-frames.ts'
import { SharedDeflate } from '../../lib/send/shared-deflate.ts'
import { DEFLATE, DEFLATE_SHARED, openConnection } from '../support/open-connection.ts'
import { closeFrame, openRaw, type RawClient } from '../support/raw.ts'

t.setTimeout(240_000)

interface Ends { socket: WebSocket, client: RawClient }

async function openBare (t: Test, headers: Record<string, string> = {}): Promise<Ends> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: true })
  t.teardown(() => server.close())
  await once(server, 'listening')
  const connected = once(server, 'connection') as Promise<[WebSocket]>
  const client = await openRaw(t, (server.address() as AddressInfo).port, '/', headers)
  const [socket] = await connected
  socket.on('error', () => {})
  return { socket, client }
}

async function openBoth (t: Test, headers?: Record<string, string>): Promise<[bare: Ends, ours: Ends]> {
  const { client, conn } = await openConnection(t, {}, headers)
  return [await openBare(t, headers), { socket: conn, client }]
}

const bytes = (text: string): ArrayBuffer => new TextEncoder().encode(text).buffer as ArrayBuffer
const foreignBlob = { arrayBuffer: async () => bytes('foreign'), stream () {}, type: '', size: 7, [Symbol.toStringTag]: 'File' }

const payloads: Record<string, unknown> = {
  'an empty string': '',
  'a string': 'h€llo',
  'a long string': 'x'.repeat(5_000),
  'a String': new String('x'), // eslint-disable-line no-new-wrappers -- an object, which is no string to ws
  'a number': 7,
  zero: 0,
  NaN,
  undefined,
  null: null,
  false: false,
  'a zero bigint': 0n,
  'a Buffer': Buffer.from('buffer'),
  'a long Buffer': Buffer.alloc(5_000, 'x'),
  'a Uint16Array': new Uint16Array([1, 2]),
  'a DataView': new DataView(bytes('view')),
  'a part of an ArrayBuffer': new Uint8Array(bytes('abcdef'), 2, 2),
  'an ArrayBuffer': bytes('arraybuffer'),
  'a SharedArrayBuffer': new SharedArrayBuffer(3),
  'an array': [1, 2, 300],
  'an empty array': [],
  'something like an array': { length: 2, 0: 65, 1: 66 },
  'the JSON of a Buffer': Buffer.from('json').toJSON(),
  'something with a primitive value': { valueOf: () => 'value' },
  'a Blob': new Blob(['blob']),
  'a Blob of another library': foreignBlob,
  'an object': {},
  true: true,
  'a bigint': 1n,
  'a symbol': Symbol('s'),
  'a function': () => {}
}

const calls: Record<string, (socket: WebSocket, ...args: unknown[]) => void> = {}
for (const [name, data] of Object.entries(payloads)) {
  calls[`send ${name}`] = (socket) => socket.send(data as string)
  calls[`send ${name} and a callback`] = (socket, callback) => socket.send(data as string, callback as () => void)
  // A function in this place is the callback.
  if (typeof data === 'function') continue
  for (const kind of ['ping', 'pong'] as const) if (!name.includes('long')) calls[`${kind} ${name}`] = (socket) => socket[kind](data)
}
const options: unknown[] = [
  true, 'text', 7, null, {}, [], { binary: true }, { binary: undefined }, { binary: 1 }, { fin: undefined }, { compress: false },
  { mask: false }, { mask: undefined }, Object.create({ binary: true, fin: false }), { unknown: 1 }, new Date()
]
for (const [i, given] of options.entries()) {
  for (const length of [3, 5_000]) calls[`send ${length} bytes with the options no. ${i}`] = (socket, callback) => socket.send('x'.repeat(length), given as object, callback as () => void)
  calls[`send a Buffer with the options no. ${i}`] = (socket, callback) => socket.send(Buffer.from('x'), given as object, callback as () => void)
}
for (const kind of ['ping', 'pong'] as const) {
  calls[kind] = (socket) => socket[kind]()
  calls[`${kind} a callback`] = (socket, callback) => socket[kind](callback as () => void)
  calls[`${kind} data and a callback`] = (socket, callback) => socket[kind]('x', callback as never)
  calls[`${kind} data, a mask and a callback`] = (socket, callback) => socket[kind]('x', false, callback as () => void)
  calls[`${kind} data, no mask and a callback`] = (socket, callback) => socket[kind]('x', undefined, callback as () => void)
  calls[`${kind} 125 bytes`] = (socket) => socket[kind]('x'.repeat(125))
  calls[`${kind} 126 bytes`] = (socket, callback) => socket[kind]('x'.repeat(126), false, callback as () => void)
  calls[`${kind} 126 bytes of a Blob`] = (socket) => socket[kind](new Blob(['x'.repeat(126)]))
}
// What a frame of its own would have: the fragments of one message have to be sent together.
calls['send fragments'] = (socket) => {
  socket.send('a', { fin: false })
  socket.send('b', { fin: false, binary: true })
  socket.send(Buffer.from('c'), { fin: true })
}

function kindOf (error: unknown): string {
  return error instanceof RangeError ? 'RangeError' : error instanceof TypeError ? 'TypeError' : String(error)
}

/** What a call does: what it throws, what is on the wire, and what its callback is told. */
async function outcome ({ socket, client }: Ends, call: (socket: WebSocket, callback: unknown) => void): Promise<object> {
  const before = socket.readyState === WebSocket.OPEN ? client.frames.length : 0
  const calledBack: string[] = []
  let thrown: string | undefined
  try {
    call(socket, (error?: Error | null) => { calledBack.push(error == null ? 'sent' : error.message) })
  } catch (error) {
    thrown = kindOf(error)
  }
  await new Promise<unknown>((resolve) => socket.send('end', resolve))
  if (socket.readyState !== WebSocket.OPEN) return { thrown, calledBack, bufferedAmount: socket.bufferedAmount }
  await client.until(() => client.frames.slice(before).some(({ payload, first }) => (first & 0x0f) < 3 && (payload.toString() === 'end' || (first & 0x40) !== 0)))
  const frames = client.frames.slice(before).map(({ first, payload }) => `${first.toString(16)} ${payload.toString('base64')}`)
  return { thrown, calledBack, frames }
}

for (const [how, headers] of [['as it is', {}], ['where it may be compressed', DEFLATE_SHARED]] as const) {
  t.test(`an open connection sends what ws sends, ${how}`, async (t) => {
    const [bare, ours] = await openBoth(t, headers)
    for (const [name, call] of Object.entries(calls)) {
      const expected = await outcome(bare, call)
      t.same(await outcome(ours, call), expected, name)
    }
    t.equal(ours.socket.bufferedAmount, 0)
  })
}

t.test('a connection that compresses sends what ws sends', async (t) => {
  const [bare, ours] = await openBoth(t, DEFLATE)
  const all = Object.entries(calls).filter(([name]) => !name.includes('compress'))
  for (const { socket } of [bare, ours]) {
    for (const [, call] of all) {
      try {
        call(socket, () => {})
      } catch {}
    }
    socket.close()
  }
  for (const { client } of [bare, ours]) await client.untilClose()
  t.same(ours.client.received.subarray(ours.client.received.length - 4_000), bare.client.received.subarray(bare.client.received.length - 4_000))
  t.same(ours.client.frames, bare.client.frames)
})

for (const [state, move] of Object.entries<(ends: Ends) => unknown>({
  closing: ({ socket }) => socket.close(),
  closed: async ({ socket, client }) => {
    const gone = once(socket, 'close')
    client.write(closeFrame(1000))
    await gone
  }
})) {
  t.test(`a connection that is ${state} takes what ws takes, and tells the callback`, async (t) => {
    const [bare, ours] = await openBoth(t)
    await move(bare)
    await move(ours)
    for (const [name, call] of Object.entries(calls)) t.same(await outcome(ours, call), await outcome(bare, call), name)
  })
}

t.test('what cannot be sent leaves nothing behind, and what is sent next is not held up', async (t) => {
  const detached = new Uint8Array(8)
  structuredClone(detached, { transfer: [detached.buffer] })
  const compressed = t.capture(SharedDeflate.prototype, 'compress', SharedDeflate.prototype.compress)
  const throwing = { get fin () { throw new TypeError('a getter') } }
  for (const headers of [{}, DEFLATE_SHARED, DEFLATE]) {
    const { client, conn, app } = await openConnection(t, {}, headers)
    const { socket } = conn.request.raw
    for (const data of [{}, true, 1n, Symbol('s'), () => {}, detached]) {
      t.throws(() => conn.send(data as never, { binary: true }, () => t.fail('called back')), TypeError)
      t.throws(() => conn.send(data as never, { fin: false }), TypeError)
      if (data === detached || typeof data === 'function') continue
      t.throws(() => conn.ping(data, false, () => t.fail('called back')), TypeError)
    }
    t.throws(() => conn.send('x', throwing as never), /a getter/)
    for (const kind of ['ping', 'pong'] as const) {
      t.throws(() => conn[kind]('x'.repeat(126)), { code: 'FST_ERR_WS_CONTROL_SIZE', message: `conn.${kind}() takes at most 125 bytes, got 126 (RFC 6455 section 5.5)` })
    }
    t.same([conn.bufferedAmount, app.websockets.stats.sent], [0, { messages: 0, bytes: 0 }])
    const written = socket.bytesWritten
    app.websockets.broadcast('goes on')
    conn.send('and on')
    await new Promise((resolve) => conn.ping('', false, resolve))
    if (headers === DEFLATE) continue
    t.equal(socket.bytesWritten - written, 9 + 8 + 2, 'nothing else was written')
    t.same((await client.untilFrames(3)).map(({ first, payload }) => `${first.toString(16)} ${payload.toString()}`), ['81 goes on', '81 and on', '89 '])
    app.websockets.broadcast('x'.repeat(2_000))
    t.equal(compressed().length, headers === DEFLATE_SHARED && directFrames.areUsed ? 1 : 0, 'nothing seems to be on its way in ws')
  }
})

t.test('what cannot be sent throws for a slow consumer as well, and does not end it', async (t) => {
  const { client, conn, errors } = await openConnection(t, { maxBufferedAmount: 100_000 })
  client.socket.pause()
  while (conn.bufferedAmount <= 100_000) conn.send(Buffer.alloc(90_000))
  t.throws(() => conn.send({} as never), TypeError)
  t.throws(() => conn.ping('x'.repeat(126)), { code: 'FST_ERR_WS_CONTROL_SIZE' })
  t.same([conn.readyState, errors], [conn.OPEN, []])
})
