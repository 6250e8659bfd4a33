// Nothing that a callback or a listener throws reaches the process; everything reaches onError.
import { once } from 'node:events'
import t from 'tap'
import type { WebSocketConnection, WebSocketError } from '../../index.ts'
import { startApp } from '../support/app.ts'
import { closed, connect, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, maskedFrame, openRaw, type RawClient, textFrame } from '../support/raw.ts'

t.setTimeout(240_000)

const broken = new Error('broken')
const failLater = async (): Promise<never> => { await null; throw broken }
const fail = (): never => { throw broken }

// What fails, and what the client does to make it fail.
interface Failure {
  options: (fail: () => unknown) => object
  provoke: (client: RawClient) => void
  /** Nothing can be sent any more. */
  isLate?: boolean
}

const listener = (event: string) => (run: () => unknown) => ({ onConnection (conn: WebSocketConnection) { conn.on(event, run) } })

const failures: Record<string, Failure> = {
  onConnection: { options: (run) => ({ onConnection: run }), provoke () {} },
  onMessage: { options: (run) => ({ onMessage: run }), provoke: (client) => client.write(textFrame('x')) },
  onClose: { options: (run) => ({ onConnection () {}, onClose: run }), provoke: (client) => client.write(closeFrame(1000)), isLate: true },
  "a listener for 'message'": { options: listener('message'), provoke: (client) => client.write(textFrame('x')) },
  "a listener for 'ping'": { options: listener('ping'), provoke: (client) => client.write(maskedFrame(0x89, Buffer.from('x'))) },
  "a listener for 'pong'": { options: listener('pong'), provoke: (client) => client.write(maskedFrame(0x8a, Buffer.from('x'))) },
  "a listener for 'close'": { options: listener('close'), provoke: (client) => client.write(closeFrame(1000)), isLate: true },
  'a listener for an event of the application': {
    options: (run) => ({ onConnection (conn: WebSocketConnection) { conn.on('own' as 'open', run); conn.emit('own') } }), provoke () {}
  },
  "a listener for 'open'": { options: (run) => ({ onHandshake (conn: WebSocketConnection) { conn.on('open', run) } }), provoke () {} },
  addEventListener: {
    options: (run) => ({ onConnection (conn: WebSocketConnection) { conn.addEventListener('message', run) } }),
    provoke: (client) => client.write(textFrame('x'))
  },
  'an object with handleEvent': {
    options: (run) => ({ onConnection (conn: WebSocketConnection) { conn.addEventListener('message', { handleEvent: run } as unknown as () => void) } }),
    provoke: (client) => client.write(textFrame('x'))
  },
  onmessage: {
    options: (run) => ({ onConnection (conn: WebSocketConnection) { conn.onmessage = run } }),
    provoke: (client) => client.write(textFrame('x'))
  },
  onclose: {
    options: (run) => ({ onConnection (conn: WebSocketConnection) { conn.onclose = run } }),
    provoke: (client) => client.write(closeFrame(1000)),
    isLate: true
  },
  iteration: {
    options: (run) => ({ async onConnection (conn: WebSocketConnection) { for await (const message of conn) { if (message === 'x') await run() } } }),
    provoke: (client) => client.write(textFrame('x'))
  }
}

for (const [name, { options, provoke, isLate = false }] of Object.entries(failures)) {
  for (const [kind, run] of [['throws', fail], ['rejects', failLater]] as const) {
    t.test(`when ${name} ${kind}, it is logged as an error, and the client sees 1011`, async (t) => {
      const { port, logs } = await startApp(t, (app) => { app.websocketRoute('/', options(run)) })
      const client = await openRaw(t, port)
      provoke(client)
      if (!isLate) {
        t.same(await client.untilClose(), { code: 1011, reason: '' })
        client.write(closeFrame(1011))
      }
      await client.untilEnd()
      await eventually(() => logs.some(({ msg }) => msg === 'WebSocket closed'))
      const lines = logs.filter(({ level }) => level >= 50)
      t.match(lines, [{ level: 50, msg: 'WebSocket error', err: { message: 'broken' }, connId: Number, reqId: 'req-1' }])
      t.equal(lines.length, 1)
    })

    t.test(`when ${name} ${kind}, onError decides`, async (t) => {
      const seen: unknown[] = []
      const done = deferred()
      const { port, logs } = await startApp(t, (app) => {
        app.websocketRoute('/', {
          ...options(run),
          onError (conn, error) {
            t.equal(this, app)
            seen.push(error)
            conn.send('still here')
            done.resolve()
          }
        })
      })
      const client = await openRaw(t, port)
      provoke(client)
      if (!isLate) {
        await eventually(() => client.frames.some(({ payload }) => payload.toString() === 'still here'))
        client.write(closeFrame(1000))
      }
      await client.untilEnd()
      await done.promise
      t.equal(seen[0], broken)
      t.same(logs.filter(({ level }) => level >= 50), [])
      t.equal(seen.length, 1)
    })
  }
}

for (const [kind, run] of [['throws', fail], ['rejects', failLater]] as const) {
  t.test(`when onError ${kind}, both are logged and the client sees 1011`, async (t) => {
    const second = new Error('onError is broken too')
    const { port, logs } = await startApp(t, (app) => {
      app.websocketRoute('/', {
        onMessage: run,
        onError: kind === 'throws' ? () => { throw second } : async () => { await null; throw second }
      })
    })
    const client = await openRaw(t, port)
    client.write(textFrame('x'))
    t.same(await client.untilClose(), { code: 1011, reason: '' })
    t.match(logs.filter(({ level }) => level >= 50), [{ msg: 'onError failed', err: { message: 'onError is broken too' }, connId: Number, reqId: 'req-1' }])
  })
}

t.test('what is thrown need not be an Error', async (t) => {
  for (const [thrown, expected] of [['text', { message: 'text' }], [undefined, { message: 'undefined' }], [{ closeCode: 4005, reason: 'own' }, { closeCode: 4005 }]] as const) {
    const seen = deferred<WebSocketError>()
    const { port } = await startApp(t, (app) => {
      app.websocketRoute('/own', { onMessage () { throw thrown }, onError (_conn, error) { seen.resolve(error) } })
      app.websocketRoute('/default', { onMessage () { throw thrown } })
    })
    const own = await openRaw(t, port, '/own')
    own.write(textFrame('x'))
    t.match(await seen.promise, expected)
    const client = await openRaw(t, port, '/default')
    client.write(textFrame('x'))
    t.same(await client.untilClose(), typeof thrown === 'object' ? { code: 4005, reason: 'own' } : { code: 1011, reason: '' })
  }
})

t.test('an error says with which code and reason to close; those that cannot be sent are 1011, and a long reason is cut', async (t) => {
  for (const [error, code, reason] of [
    [{ closeCode: 4001, reason: 'own' }, 4001, 'own'], [{ closeCode: 1006 }, 1011, ''], [{ closeCode: '4001' }, 1011, ''],
    [{ closeCode: 4001, reason: 7 }, 4001, ''], [{ closeCode: 4001, reason: 'x'.repeat(500) }, 4001, 'x'.repeat(123)]
  ] as const) {
    const { port } = await startApp(t, (app) => { app.websocketRoute('/', { onMessage () { throw Object.assign(new Error('x'), error) } }) })
    const client = await openRaw(t, port)
    client.write(textFrame('x'))
    t.same(await client.untilClose(), { code, reason })
  }
})

t.test("the failure of one listener leaves nothing behind: the connection is forgotten although its 'close' listener throws", async (t) => {
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onHandshake (conn) { conn.on('close', fail) }, onConnection () {} })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.close()
  await once(socket, 'close')
  await app.close()
  t.pass('nothing keeps the server from closing')
})

t.test('when a listener throws, onMessage gets the message all the same', async (t) => {
  const errors: unknown[] = []
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onConnection (conn) { conn.on('message', fail) },
      onMessage (conn, message) { conn.send(message) },
      onError (_conn, error) { errors.push(error) }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  for (const text of ['a', 'b']) {
    socket.send(text)
    t.equal(await nextMessage(socket), text)
  }
  t.same(errors, [broken, broken])
})

t.test('listeners of addEventListener are those that were given: added once, removed, and found by onmessage', async (t) => {
  const seen: string[] = []
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onConnection (conn) {
        const removed = (): void => { seen.push('removed') }
        const twice = function (this: unknown, { data, target }: { data: unknown, target: unknown }): void {
          seen.push(`${String(data)} ${this === conn && target === conn}`)
        }
        const object = { handleEvent (this: unknown) { seen.push(`object ${this === object}`) } } as unknown as () => void
        conn.addEventListener('message', removed)
        conn.addEventListener('message', twice)
        conn.addEventListener('message', twice)
        conn.addEventListener('message', object)
        conn.addEventListener('message', () => { seen.push('once') }, { once: true })
        conn.removeEventListener('message', removed)
        conn.removeEventListener('message', () => {})
        t.equal(conn.onmessage, null)
        conn.onmessage = removed
        t.equal(conn.onmessage, removed)
        conn.onmessage = () => { conn.send('told') }
        t.equal(conn.listenerCount('message'), 4)
      }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  for (const text of ['a', 'b']) {
    socket.send(text)
    await nextMessage(socket)
  }
  t.same(seen, ['a true', 'object true', 'once', 'b true', 'object true'])
})

t.test('a listener that is none is an error when it is called, as in ws', async (t) => {
  const error = deferred<unknown>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onConnection (conn) { conn.addEventListener('message', null as unknown as () => void) },
      onError (_conn, thrown) { error.resolve(thrown) }
    })
  })
  const client = await openRaw(t, port)
  client.write(textFrame('x'))
  t.type(await error.promise, TypeError)
})

t.test('during the handshake a listener throws to who emits', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onHandshake (conn) {
        conn.on('own' as 'open', fail)
        t.throws(() => conn.emit('own'), broken)
      },
      onConnection (conn) { conn.close() }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  t.equal(await closed(socket), 1005)
})

// ---- what the peer does wrong ------------------------------------------------------------------------------------------

const wrongs: Record<string, [bytes: Buffer, code: number, error: string]> = {
  'RSV bits': [Buffer.from([0xf1, 0x80, 1, 2, 3, 4]), 1002, 'WS_ERR_UNEXPECTED_RSV_2_3'],
  'compressed without the extension': [maskedFrame(0xc1, Buffer.from('x')), 1002, 'WS_ERR_UNEXPECTED_RSV_1'],
  'no mask': [Buffer.from([0x81, 1, 65]), 1002, 'WS_ERR_EXPECTED_MASK'],
  'an unknown opcode': [maskedFrame(0x83, Buffer.alloc(0)), 1002, 'WS_ERR_INVALID_OPCODE'],
  'a continuation of nothing': [maskedFrame(0x80, Buffer.alloc(0)), 1002, 'WS_ERR_INVALID_OPCODE'],
  'a fragmented ping': [maskedFrame(0x09, Buffer.alloc(0)), 1002, 'WS_ERR_EXPECTED_FIN'],
  'a long ping': [maskedFrame(0x89, Buffer.alloc(126)), 1002, 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH'],
  'a reserved close code': [closeFrame(1005), 1002, 'WS_ERR_INVALID_CLOSE_CODE'],
  'text that is not UTF-8': [maskedFrame(0x81, Buffer.from([0xff])), 1007, 'WS_ERR_INVALID_UTF8'],
  'a reason that is not UTF-8': [maskedFrame(0x88, Buffer.from([0x03, 0xe8, 0xff])), 1007, 'WS_ERR_INVALID_UTF8'],
  'too many fragments': [Buffer.concat([maskedFrame(0x01, Buffer.from('x')), ...Array.from({ length: 5 }, () => maskedFrame(0x00, Buffer.from('x')))]), 1008, 'WS_ERR_TOO_MANY_BUFFERED_PARTS'],
  'a message that is too long': [maskedFrame(0x82, Buffer.alloc(2000)), 1009, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'],
  'a length beyond all numbers': [Buffer.from([0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]), 1009, 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH']
}

for (const [name, [bytes, code, error]] of Object.entries(wrongs)) {
  t.test(`${name}: the peer sees ${code}, onError gets ${error}`, async (t) => {
    const seen: WebSocketError[] = []
    const closes: unknown[] = []
    const done = deferred()
    const { port, logs } = await startApp(t, (app) => {
      app.websocketRoute('/own', {
        maxFragments: 4,
        maxPayload: 1000,
        onConnection () {},
        onError (_conn, error) { seen.push(error) },
        onClose (_conn, close) { closes.push(close); done.resolve() }
      })
      app.websocketRoute('/default', { maxFragments: 4, maxPayload: 1000, onConnection () {} })
    })
    for (const path of ['/own', '/default']) {
      const client = await openRaw(t, port, path)
      client.write(bytes)
      t.equal((await client.untilClose()).code, code)
      client.write(closeFrame(code))
      await client.untilEnd()
    }
    await done.promise
    t.match(seen, [{ code: error, closeCode: code }])
    t.same(closes, [{ code, reason: '', initiator: 'server' }])
    t.match(logs.filter(({ msg }) => msg === 'WebSocket error'), [{ level: 20, err: { code: error } }, { level: 20, err: { code: error } }])
    t.same(logs.filter(({ level }) => level >= 40), [])
  })
}

t.test('data that cannot be inflated is 1007', async (t) => {
  const seen = deferred<WebSocketError>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { perMessageDeflate: true, onConnection () {}, onError (_conn, error) { seen.resolve(error) } })
  })
  const client = await openRaw(t, port, '/', { 'Sec-WebSocket-Extensions': 'permessage-deflate' })
  client.write(maskedFrame(0xc1, Buffer.from([0xff, 0xff, 0xff])))
  t.equal((await client.untilClose()).code, 1007)
  t.match(await seen.promise, { code: /^Z_/, closeCode: 1007 })
})

t.test("the errors of another peer, and of zlib, are the application's when it throws them", async (t) => {
  for (const code of ['WS_ERR_INVALID_OPCODE', 'Z_DATA_ERROR']) {
    const foreign = Object.assign(new Error('not from this peer'), { code })
    for (const options of [
      { onMessage () { throw foreign } },
      { onMessage (conn: WebSocketConnection) { conn.emit('error', foreign) } }
    ]) {
      const { port, logs } = await startApp(t, (app) => { app.websocketRoute('/', options) })
      const client = await openRaw(t, port)
      client.write(textFrame('x'))
      t.same(await client.untilClose(), { code: 1011, reason: '' })
      t.match(logs.filter(({ msg }) => msg === 'WebSocket error'), [{ level: 50, err: { code } }])
    }
  }
})

t.test("what a listener for 'error' throws goes to onError as well", async (t) => {
  const errors: unknown[] = []
  const closes: unknown[] = []
  const done = deferred()
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onConnection (conn) { conn.on('error', fail) },
      onError (_conn, error) { errors.push(error) },
      onClose (_conn, close) { closes.push(close); done.resolve() }
    })
  })
  const client = await openRaw(t, port)
  client.write(maskedFrame(0x83, Buffer.alloc(0)))
  t.equal((await client.untilClose()).code, 1002)
  client.write(closeFrame(1002))
  await done.promise
  await app.close()
  t.match(errors, [{ code: 'WS_ERR_INVALID_OPCODE' }, broken])
  t.same(closes, [{ code: 1002, reason: '', initiator: 'server' }])
})

t.test('another connection that closes is no reason to close with its code', async (t) => {
  const others = deferred<WebSocketConnection>()
  const { port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/other', { onConnection (conn) { others.resolve(conn) } })
    app.websocketRoute('/', {
      async onMessage () {
        const other = await others.promise
        await other.drained()
      }
    })
  })
  const other = await openRaw(t, port, '/other')
  const gone = once(await others.promise, 'close')
  other.write(closeFrame(4001))
  await gone
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.send('x')
  t.equal(await closed(socket), 1011)
  t.match(logs.filter(({ level }) => level === 50), [{ err: { code: 'FST_ERR_WS_CLOSED' } }])
})
