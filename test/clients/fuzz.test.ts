// Seeded nonsense: frames, and messages for a schema. After all of it the server still serves, and nothing was uncaught.
import { once } from 'node:events'
import t from 'tap'
import { Type } from 'typebox'
import type { ConnectionClose } from '../../index.ts'
import { startApp, type Teardown } from '../support/app.ts'
import { connect, nextMessage } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, frameHeader, maskedFrame, openRaw } from '../support/raw.ts'

t.setTimeout(240_000)

const SEED = Number(process.env.FUZZ_SEED ?? 20_261_123)
t.comment(`seed ${SEED}`)

/** A generator of numbers, the same ones for the same seed: mulberry32. */
function random (seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let x = Math.imul(state ^ (state >>> 15), state | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return ((x ^ (x >>> 14)) >>> 0) % below
  }
}

function watchProcess (t: Teardown): unknown[] {
  const uncaught: unknown[] = []
  const note = (error: unknown): void => { uncaught.push(error) }
  for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, note)
  t.teardown(() => { for (const event of ['uncaughtException', 'unhandledRejection']) process.off(event, note) })
  return uncaught
}

// ---- frames ---------------------------------------------------------------------------------------------------------------

type Random = ReturnType<typeof random>

function bytes (next: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => next(256)))
}

/** One frame, or what is almost one. */
function frame (next: Random): Buffer {
  const first = [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8a, 0xc1, 0xc2, next(256)][next(12)] ?? 0
  const length = [0, 1, next(126), 125, 126, 127, next(2000), 65_536][next(8)] ?? 0
  const payload = first === 0x81 && next(2) === 0 ? Buffer.from('€'.repeat(length / 3)) : bytes(next, Math.min(length, 3000))
  switch (next(12)) {
    case 0: return bytes(next, next(20))
    case 1: return Buffer.concat([frameHeader(first, length), bytes(next, next(8))])
    case 2: return maskedFrame(first, payload).subarray(0, next(payload.length + 6))
    case 3: return closeFrame(next(6000), 'bye'.repeat(next(4)))
    case 4: return Buffer.concat([Buffer.from([first, payload.length & 0x7f]), payload]) // no mask
    default: return maskedFrame(first, payload)
  }
}

t.test('12 000 frames do not hurt the server', async (t) => {
  const uncaught = watchProcess(t)
  const next = random(SEED)
  let opened = 0
  const closes: ConnectionClose[] = []
  const { app, port, logs } = await startApp(t, (app) => {
    for (const [path, perMessageDeflate] of [['/plain', false], ['/deflate', true]] as const) {
      app.websocketRoute(path, {
        perMessageDeflate,
        closeTimeout: 200,
        maxPayload: 50_000,
        maxFragments: 10,
        onConnection () { opened++ },
        async onMessage (conn, message) {
          if (message.length % 5 === 0) await null
          if (message.length % 7 === 0) throw new Error('an unlucky length')
          conn.send(message)
        },
        onClose (_conn, close) { closes.push(close) }
      })
    }
    app.websocketRoute('/echo', { onMessage (conn, message) { conn.send(message) } })
  })
  let count = 0
  let clients = 0
  while (count < 12_000) {
    const client = next(2) === 0 ? await openRaw(t, port, '/plain') : await openRaw(t, port, '/deflate', { 'Sec-WebSocket-Extensions': 'permessage-deflate' })
    clients++
    for (let i = next(30); i >= 0 && !client.socket.destroyed; i--) {
      client.write(frame(next))
      count++
      if (next(10) === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    if (next(4) === 0) client.socket.resetAndDestroy()
    else client.socket.end()
    client.socket.removeAllListeners('data')
    client.socket.resume()
  }
  await eventually(() => closes.length === clients)
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/echo`)
  socket.send('still here')
  t.equal(await nextMessage(socket), 'still here')
  socket.close()
  await once(socket, 'close')
  t.same(uncaught, [])
  t.equal(opened, clients, 'every connection was closed once, and told so')
  t.same(logs.filter(({ level, err }) => level >= 50 && err?.message !== 'an unlucky length'), [])
  t.ok(new Set(closes.map(({ code }) => code)).size > 5, 'there was something of everything')
  await app.close()
})

// ---- messages for a schema -----------------------------------------------------------------------------------------------

function value (next: Random, depth = 0): unknown {
  switch (next(depth > 3 ? 7 : 10)) {
    case 0: return null
    case 1: return next(2) === 0
    case 2: return next(1000) - 500
    case 3: return next(1000) / 7
    case 4: return ['say', 'move', '', '__proto__', '😀\u0000', 'x'.repeat(next(600))][next(6)]
    case 5: return String(next(100))
    case 6: return next(2) === 0 ? [] : {}
    case 7: return Array.from({ length: next(4) }, () => value(next, depth + 1))
    default: {
      const keys = ['type', 'text', 'x', 'y', '__proto__', 'constructor', 'prototype', 'toString']
      return Object.fromEntries(Array.from({ length: next(5) }, () => [keys[next(keys.length)], value(next, depth + 1)]))
    }
  }
}

function message (next: Random): string | Buffer {
  switch (next(8)) {
    case 0: return bytes(next, next(60))
    case 1: return JSON.stringify(value(next)).slice(0, next(40))
    case 2: return JSON.stringify({ type: 'say', text: 'x'.repeat(next(20)) })
    case 3: return JSON.stringify({ type: 'move', x: next(50), y: String(next(50)), extra: value(next) })
    case 4: return `{"type":"say","text":"\\u${next(65_536).toString(16).padStart(4, '0')}","__proto__":{"a":1}}`
    default: return JSON.stringify(value(next))
  }
}

t.test('12 000 messages for a schema are each answered: by a handler if they fit, by an error if not', async (t) => {
  const uncaught = watchProcess(t)
  const next = random(SEED + 1)
  const wrong: unknown[] = []
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      schema: {
        receive: Type.Union([
          Type.Object({ type: Type.Literal('say'), text: Type.String({ maxLength: 10 }) }, { additionalProperties: false }),
          Type.Object({ type: Type.Literal('move'), x: Type.Integer({ maximum: 40 }), y: Type.Integer() }, { additionalProperties: false })
        ]),
        send: Type.Object({ ok: Type.Boolean(), why: Type.Optional(Type.String()) })
      },
      onMessage (conn, untyped) {
        const message = untyped as Record<string, unknown>
        const isSay = message.type === 'say' && typeof message.text === 'string' && message.text.length <= 10
        const isMove = message.type === 'move' && Number.isInteger(message.x) && Number(message.x) <= 40 && Number.isInteger(message.y)
        if (!isSay && !isMove) wrong.push(message)
        conn.sendMessage({ ok: true })
      },
      onError (conn, error) {
        if (error.code !== 'FST_ERR_WS_MESSAGE_INVALID') wrong.push(error)
        conn.sendMessage({ ok: false, why: error.reason })
      }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  const answers = { fine: 0, refused: 0 }
  socket.on('message', (data) => {
    const { ok, why } = JSON.parse(String(data)) as { ok: boolean, why?: string }
    if (ok) answers.fine++
    else answers.refused++
    if (!ok && (why === undefined || Buffer.byteLength(why) > 123)) wrong.push(why)
  })
  for (let i = 0; i < 12_000; i++) {
    socket.send(message(next))
    if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await eventually(() => answers.fine + answers.refused === 12_000)
  t.comment(answers)
  t.ok(answers.fine > 1000 && answers.refused > 1000)
  t.same(wrong, [])
  t.same(uncaught, [])
  t.notOk(({} as { a?: unknown }).a, 'no prototype was polluted')
})
