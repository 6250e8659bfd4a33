// How a connection ends: who closed it, with what, what onClose is told, and that it does end.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import type { ConnectionClose, WebSocketConnection } from '../../index.ts'
import { cutReason, isSendableCode } from '../../lib/close-codes.ts'
import { type LogLine, startApp, type Teardown } from '../support/app.ts'
import { closed, connect, connectRefused } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, handshake, maskedFrame, openRaw, RawClient, textFrame } from '../support/raw.ts'

t.setTimeout(240_000)

const DEFLATE = { 'Sec-WebSocket-Extensions': 'permessage-deflate' }

interface Ended {
  app: FastifyInstance
  client: RawClient
  conn: WebSocketConnection
  close: Promise<ConnectionClose>
  closes: ConnectionClose[]
  logs: LogLine[]
  /** What the listeners for 'close' were told. */
  event: Promise<unknown[]>
}

/** An open connection, whose onClose is kept. */
async function open (t: Teardown, options: object = {}, headers: Record<string, string> = {}, opened?: Promise<WebSocketConnection>): Promise<Ended> {
  const connection = deferred<WebSocketConnection>()
  const close = deferred<ConnectionClose>()
  const closes: ConnectionClose[] = []
  const { app, port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      closeTimeout: 100,
      onConnection (conn) { connection.resolve(conn) },
      onClose (_conn, result) { closes.push(result); close.resolve(result) },
      ...options
    })
  })
  const client = await openRaw(t, port, '/', headers)
  if (opened !== undefined) return { app, client, conn: null as never, close: close.promise, closes, logs, event: null as never }
  const conn = await connection.promise
  const event = deferred<unknown[]>()
  conn.on('close', (code, reason) => event.resolve([code, String(reason)]))
  return { app, client, conn, close: close.promise, closes, logs, event: event.promise }
}

// ---- who, and with what --------------------------------------------------------------------------------------------------

const ends: Record<string, [end: (ended: Ended) => unknown, close: ConnectionClose, event: [number, string]]> = {
  'the peer sends a code and a reason': [
    ({ client }) => client.write(closeFrame(4001, 'bye €')), { code: 4001, reason: 'bye €', initiator: 'peer' }, [4001, 'bye €']
  ],
  'the peer sends an empty close frame': [
    ({ client }) => client.write(maskedFrame(0x88, Buffer.alloc(0))), { code: 1005, reason: '', initiator: 'peer' }, [1005, '']
  ],
  'the peer closes inside a listener of ours': [
    ({ client, conn }) => { conn.on('message', () => {}); client.write(Buffer.concat([textFrame('x'), closeFrame(1000)])) },
    { code: 1000, reason: '', initiator: 'peer' }, [1000, '']
  ],
  'the server closes and the peer answers': [
    ({ client, conn }) => { conn.close(4002, 'go'); client.write(closeFrame(4002, 'go')) }, { code: 4002, reason: 'go', initiator: 'server' }, [4002, 'go']
  ],
  'the server closes in a listener and the peer answers': [
    ({ client, conn }) => {
      conn.on('message', () => conn.close(4002, Buffer.from('go')))
      client.write(Buffer.concat([textFrame('x'), closeFrame(4002)]))
    }, { code: 4002, reason: 'go', initiator: 'server' }, [4002, '']
  ],
  'the server closes without a code': [
    ({ client, conn }) => { conn.close(); client.write(closeFrame(1000)) }, { code: 1005, reason: '', initiator: 'server' }, [1000, '']
  ],
  'both close, and the server was first': [
    ({ client, conn }) => { conn.close(4002); client.write(closeFrame(4001, 'bye')) }, { code: 4002, reason: '', initiator: 'server' }, [4001, 'bye']
  ],
  'the server closes and the peer never answers': [
    ({ conn }) => conn.close(4002, 'go'), { code: 4002, reason: 'go', initiator: 'server' }, [1006, '']
  ],
  'the server terminates': [({ conn }) => conn.terminate(), { code: 1006, reason: '', initiator: 'server' }, [1006, '']],
  'the server closes and then terminates': [
    ({ conn }) => { conn.close(4002); conn.terminate() }, { code: 4002, reason: '', initiator: 'server' }, [1006, '']
  ],
  'the peer resets': [({ client }) => client.socket.resetAndDestroy(), { code: 1006, reason: '', initiator: 'network' }, [1006, '']],
  'the peer ends without a close frame': [({ client }) => client.socket.end(), { code: 1006, reason: '', initiator: 'network' }, [1006, '']],
  'the peer breaks the protocol': [({ client }) => client.write(Buffer.from([0xff, 0xff])), { code: 1002, reason: '', initiator: 'server' }, [1006, '']]
}

for (const [name, [end, close, event]] of Object.entries(ends)) {
  t.test(`${name}: onClose is told once who decided, and one line is logged`, async (t) => {
    const ended = await open(t)
    end(ended)
    t.same(await ended.close, close)
    t.same(await ended.event, event, "'close' has the arguments of ws")
    const lines = ended.logs.filter(({ msg }) => msg === 'WebSocket closed')
    t.match(lines, [{ level: 30, connId: ended.conn.id, reqId: 'req-1', ...close, duration: Number }])
    t.same([lines.length, ended.closes.length], [1, 1])
  })
}

t.test('the line at the close counts messages and bytes of both ways', async (t) => {
  const { client, logs, close } = await open(t, { onMessage (conn: WebSocketConnection) { conn.sendMessage('€'); conn.send(Buffer.alloc(10_000)) } })
  client.write(Buffer.concat([textFrame('€uro'), maskedFrame(0x02, Buffer.alloc(5)), maskedFrame(0x80, Buffer.alloc(7)), maskedFrame(0x89, Buffer.alloc(3))]))
  await client.untilFrames(4)
  client.write(closeFrame(1000))
  await close
  t.match(logs.find(({ msg }) => msg === 'WebSocket closed'), { received: { messages: 2, bytes: 18 }, sent: { messages: 4, bytes: 20_006 } })
})

t.test('onClose is not called for a handshake that was refused, failed or left', async (t) => {
  const left = deferred()
  const { port, logs } = await startApp(t, (app) => {
    const onClose = (): void => { t.fail('it was never open') }
    app.websocketRoute('/refused', { onHandshake (conn) { conn.reject() }, onClose })
    app.websocketRoute('/failed', { onHandshake () { throw new Error('failed') }, onClose })
    app.websocketRoute('/dropped', { onHandshake (conn) { conn.terminate() }, onClose })
    app.websocketRoute('/left', { async onHandshake (_conn, request) { await once(request.signal, 'abort'); left.resolve() }, onClose })
  })
  for (const path of ['refused', 'failed']) await connectRefused(t, `ws://127.0.0.1:${port}/${path}`)
  await t.rejects(connect(t, `ws://127.0.0.1:${port}/dropped`))
  const client = await RawClient.connect(t, port)
  client.write(handshake('/left'))
  await eventually(() => logs.some(({ msg, req }) => msg === 'incoming request' && (req as { url: string }).url === '/left'))
  client.socket.resetAndDestroy()
  await left.promise
  t.same(logs.filter(({ msg }) => msg === 'WebSocket closed'), [])
})

t.test('onClose is called for a connection that onHandshake failed after accepting', async (t) => {
  const close = deferred<ConnectionClose>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onHandshake (conn) { conn.acceptWith(); throw new Error('too late') }, onClose (_conn, result) { close.resolve(result) } })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  t.equal(await closed(socket), 1011)
  t.same(await close.promise, { code: 1011, reason: '', initiator: 'server' })
})

t.test('onClose waits for onConnection and for a pending onMessage', async (t) => {
  const order: string[] = []
  const settle = { connection: deferred(), message: deferred() }
  const busy = deferred()
  const { client, conn, close } = await (async () => {
    const connection = deferred<WebSocketConnection>()
    const close = deferred()
    const { port } = await startApp(t, (app) => {
      app.websocketRoute('/', {
        async onConnection (conn) {
          connection.resolve(conn)
          await settle.connection.promise
          order.push('onConnection')
        },
        async onMessage () {
          busy.resolve()
          await settle.message.promise
          order.push('onMessage')
        },
        onClose () { order.push('onClose'); close.resolve() }
      })
    })
    return { client: await openRaw(t, port), conn: await connection.promise, close: close.promise }
  })()
  conn.on('message', () => {})
  client.write(Buffer.concat([textFrame('x'), closeFrame(1000)]))
  await once(conn, 'close')
  t.same(order, [])
  settle.connection.resolve()
  await busy.promise
  t.same(order, ['onConnection'])
  settle.message.resolve()
  await close
  t.same(order, ['onConnection', 'onMessage', 'onClose'])
})

t.test('onClose follows an onConnection that outlasts the connection', async (t) => {
  const settle = deferred()
  const done = deferred<ConnectionClose>()
  const connection = deferred<WebSocketConnection>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      closeTimeout: 300_000,
      onConnection (conn) { connection.resolve(conn); return settle.promise },
      onClose (_conn, result) { done.resolve(result) }
    })
  })
  await openRaw(t, port)
  const conn = await connection.promise
  conn.terminate()
  await once(conn, 'close')
  settle.resolve()
  t.match(await done.promise, { code: 1006, initiator: 'server' })
})

t.test('what never settles does not keep onClose from being called', async (t) => {
  const never = new Promise(() => {})
  const { client, close } = await open(t, { onMessage: () => never })
  client.write(Buffer.concat([textFrame('x'), textFrame('y'), closeFrame(1000)]))
  t.match(await close, { code: 1000 })
  const done = deferred<ConnectionClose>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      closeTimeout: 100,
      onHandshake (conn) { conn.on('message', () => {}) },
      onConnection: () => never,
      onClose (_conn, result) { done.resolve(result) }
    })
  })
  const other = await openRaw(t, port)
  other.write(closeFrame(4001))
  t.match(await done.promise, { code: 4001 })
})

// ---- close() ---------------------------------------------------------------------------------------------------------------

t.test('close() checks code and reason before anything is written', async (t) => {
  const { client, conn } = await open(t)
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_536, 1000.5, NaN, '1000', null]) {
    t.throws(() => conn.close(code as number), { code: 'FST_ERR_WS_CLOSE_CODE' }, String(code))
  }
  for (const reason of ['x'.repeat(124), '€'.repeat(42), Buffer.alloc(124), 5, {}]) {
    t.throws(() => conn.close(1000, reason as string), { code: 'FST_ERR_WS_CLOSE_REASON' }, String(reason).slice(0, 20))
  }
  t.equal(conn.readyState, WebSocket.OPEN)
  conn.close(1000, '€'.repeat(41))
  t.same(await client.untilClose(), { code: 1000, reason: '€'.repeat(41) })
  t.equal(client.frames.length, 1)
})

t.test('a relay passes on any code of another socket, when the connection is closing as well', async (t) => {
  for (const code of [1005, 1006]) {
    const { client, conn, close } = await open(t)
    client.write(maskedFrame(0x88, Buffer.alloc(0)))
    await once(conn, 'close')
    conn.close(code, 'passed on')
    t.match(await close, { code: 1005, initiator: 'peer' })
  }
})

t.test('a close frame is answered at once while onConnection or onMessage is pending, and aborts the signal', async (t) => {
  for (const name of ['onConnection', 'onMessage']) {
    const started = deferred<WebSocketConnection>()
    let chunks = 0
    const stream = async (conn: WebSocketConnection): Promise<void> => {
      started.resolve(conn)
      while (!conn.signal.aborted) {
        chunks++
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const { client, close } = await open(t, { [name]: stream, closeTimeout: 60_000, ...name === 'onConnection' ? {} : { onConnection () {} } }, {}, started.promise)
    client.write(textFrame('start'))
    const { signal } = await started.promise
    await eventually(() => chunks > 1)
    client.write(closeFrame(4001, 'bye'))
    t.same(await client.untilClose(), { code: 4001, reason: 'bye' })
    t.match(await close, { code: 4001, initiator: 'peer' })
    t.match(signal.reason, { code: 'FST_ERR_WS_CLOSED', closeCode: 4001, reason: 'bye' })
  }
})

t.test('the signal is aborted when this side closes or the socket is lost, and is so already when it is asked for later', async (t) => {
  const closing = await open(t)
  const { signal } = closing.conn
  t.equal(closing.conn.signal, signal)
  t.equal(signal.aborted, false)
  closing.conn.close(4002, 'go')
  t.match(signal.reason, { closeCode: 4002, reason: 'go' })
  const lost = await open(t)
  const early = lost.conn.signal
  lost.client.socket.resetAndDestroy()
  await lost.close
  t.match(early.reason, { closeCode: 1006 })
  const late = await open(t)
  late.conn.terminate()
  t.match(late.conn.signal.reason, { closeCode: 1006 })
})

t.test('during the handshake there is no signal of the connection', async (t) => {
  const failed = deferred<unknown>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onHandshake (conn) { try { t.notOk(conn.signal) } catch (error) { failed.resolve(error) } } })
  })
  await openRaw(t, port)
  t.match(await failed.promise, { code: 'FST_ERR_WS_NOT_OPEN' })
})

t.test('a listener of the application on the socket does not change who has closed', async (t) => {
  const { client, conn, close } = await open(t)
  conn.request.socket.on('data', () => {})
  client.write(closeFrame(4001))
  t.match(await close, { code: 4001, initiator: 'peer' })
})

t.test('in one chunk with the close frame of the peer, who closes in the handler of a message before it was first', async (t) => {
  for (const frame of [textFrame('x'), maskedFrame(0x89, Buffer.from('x')), maskedFrame(0x8a, Buffer.from('x'))]) {
    const { client, conn, close } = await open(t)
    for (const event of ['message', 'ping', 'pong']) conn.on(event, () => conn.close(4002))
    client.write(Buffer.concat([frame, closeFrame(4001)]))
    t.match(await close, { code: 4002, initiator: 'server' })
  }
})

t.test('a callback that closes behind a close frame which ws has not come to yet was second', async (t) => {
  const opened = deferred<WebSocketConnection>()
  const { client, close } = await open(t, {
    perMessageDeflate: true,
    onConnection (conn: WebSocketConnection) { opened.resolve(conn) },
    onMessage (conn: WebSocketConnection) { process.nextTick(() => conn.close(4002, 'second')) }
  }, { 'Sec-WebSocket-Extensions': 'permessage-deflate' }, opened.promise)
  client.write(Buffer.concat([textFrame('x'), closeFrame(4001, 'first')]))
  t.match(await close, { code: 4001, reason: 'first', initiator: 'peer' })
})

for (const how of ["close() in a listener for 'open'", "terminate() in a listener for 'open'", 'acceptWith() and close()', 'acceptWith() and terminate()']) {
  t.test(`${how}: no onConnection, one onClose, one line, and nobody is left`, async (t) => {
    const order: unknown[] = []
    const closed = deferred()
    const end = (conn: WebSocketConnection): void => how.includes('close') ? conn.close(4002, 'go') : conn.terminate()
    const { app, port, logs } = await startApp(t, (app) => {
      app.websocketRoute('/', {
        closeTimeout: 50,
        onHandshake (conn) {
          if (how.includes('open')) {
            conn.on('open', () => end(conn))
            return
          }
          conn.acceptWith()
          end(conn)
        },
        onConnection () { order.push('onConnection') },
        onClose (_conn, close) { order.push(close); closed.resolve() }
      })
    })
    const client = await RawClient.connect(t, port)
    client.write(handshake('/'))
    await closed.promise
    const close = how.includes('close') ? { code: 4002, reason: 'go' } : { code: 1006, reason: '' }
    t.same(order, [{ ...close, initiator: 'server' }])
    await eventually(() => app.websockets.size === 0)
    t.match(app.websockets.stats, { accepted: 1, closed: { [close.code]: 1 } })
    t.match(logs.filter(({ msg }) => /^WebSocket (opened|closed)/.test(String(msg))), [{ msg: 'WebSocket opened' }, { msg: 'WebSocket closed', ...close }])
  })
}

t.test("terminate() and close() in a listener for 'close' change nothing", async (t) => {
  for (const end of [(conn: WebSocketConnection) => conn.terminate(), (conn: WebSocketConnection) => conn.close(4003)]) {
    const { app, client, conn, close, closes, logs } = await open(t)
    conn.on('close', () => end(conn))
    client.write(closeFrame(4001))
    t.match(await close, { code: 4001, initiator: 'peer' })
    t.equal(closes.length, 1)
    t.match(app.websockets.stats, { closed: { 4001: 1 }, open: 0 })
    t.equal(logs.filter(({ msg }) => msg === 'WebSocket closed').length, 1)
  }
})

t.test('close() is idempotent', async (t) => {
  const { client, conn, close } = await open(t)
  conn.close(4001, 'first')
  conn.close(4002, 'second')
  conn.close(1005, 5 as unknown as string)
  t.same(await client.untilClose(), { code: 4001, reason: 'first' })
  client.write(closeFrame(4001))
  t.match(await close, { code: 4001, reason: 'first' })
  conn.close(4003)
  conn.close(1006)
  conn.terminate()
  await client.untilEnd()
  t.equal(client.frames.length, 1)
})

for (const [kind, taken] of Object.entries({ onMessage: 'a', 'a listener': 'abcd', 'an iteration': 'abcd' })) {
  t.test(`after one's own close(), until the close frame of the peer, ${kind} gets ${taken}`, async (t) => {
    const seen: string[] = []
    const take = (conn: WebSocketConnection, message: unknown): void => {
      seen.push(String(message))
      conn.close(1000)
    }
    const { client, conn, close } = await open(t, {
      ...kind === 'onMessage' ? { onMessage: take } : {},
      closeTimeout: 5000
    })
    if (kind === 'a listener') conn.on('message', (data) => take(conn, data))
    if (kind === 'an iteration') void (async () => { for await (const message of conn) take(conn, message) })()
    client.write(Buffer.concat(['a', 'b', 'c'].map(textFrame)))
    await client.untilClose()
    client.write(Buffer.concat([textFrame('d'), closeFrame(1000)]))
    await close
    t.equal(seen.join(''), taken)
  })
}

t.test('a listener that closes keeps its message from onMessage', async (t) => {
  const seen: unknown[] = []
  const { client, conn, close } = await open(t, { onMessage (_conn: unknown, message: unknown) { seen.push(message) } })
  conn.on('message', () => conn.close(1000))
  client.write(Buffer.concat([textFrame('a'), textFrame('b'), closeFrame(1000)]))
  await close
  t.same(seen, [])
})

const lateEnds: Record<string, (conn: WebSocketConnection) => unknown> = {
  'calls close()': (conn) => conn.close(1000),
  'calls terminate()': (conn) => conn.terminate(),
  throws () { throw new Error('broken') }
}
for (const [name, end] of Object.entries(lateEnds)) {
  for (const when of ['at once', 'when the socket is gone'] as const) {
    t.test(`after the peer has closed, onMessage that ${name} ${when} gets no more of what waits`, async (t) => {
      const seen: unknown[] = []
      const { client, close } = await open(t, {
        closeTimeout: 5000,
        async onMessage (conn: WebSocketConnection, message: unknown) {
          seen.push(message)
          if (when === 'at once') await new Promise(setImmediate)
          else await once(conn, 'close')
          end(conn)
        }
      })
      client.write(Buffer.concat([...['a', 'b', 'c'].map(textFrame), closeFrame(4001)]))
      t.same(await close, { code: 4001, reason: '', initiator: 'peer' })
      t.same(seen, ['a'])
    })
  }
}

t.test('what came before the peer broke the protocol, or left a sender behind, is handled', async (t) => {
  for (const end of [maskedFrame(0x83, Buffer.alloc(0)), closeFrame(4001)]) {
    const seen: unknown[] = []
    const { client, close } = await open(t, {
      closeTimeout: 5000,
      async onMessage (conn: WebSocketConnection, message: unknown) {
        seen.push(message)
        if (message !== 'a') return
        await once(conn, 'close')
        await conn.drained()
      }
    })
    client.write(Buffer.concat([...['a', 'b', 'c'].map(textFrame), end]))
    client.socket.end()
    await close
    t.same(seen, ['a', 'b', 'c'])
  }
})

t.test('what had come in before the socket was gone is handled, up to the close frame in it', async (t) => {
  const seen: unknown[] = []
  const sockets: Socket[] = []
  const close = deferred<ConnectionClose>()
  const paused = deferred()
  const { port } = await startApp(t, (app) => {
    app.server.on('connection', (socket) => sockets.push(socket))
    app.websocketRoute('/', {
      onConnection (conn) { conn.pause(); paused.resolve() },
      async onMessage (_conn, message) { await null; seen.push(message) },
      onClose (_conn, result) { close.resolve(result) }
    })
  })
  const client = await openRaw(t, port)
  await paused.promise
  const before = sockets[0]?.bytesRead ?? 0
  const bytes = Buffer.concat([...['a', 'b'].map(textFrame), closeFrame(4001)])
  client.write(bytes)
  await eventually(() => sockets[0]?.bytesRead === before + bytes.length)
  client.socket.resetAndDestroy()
  t.match(await close.promise, { code: 1006 })
  t.same(seen, ['a', 'b'])
})

for (const slow of ['onMessage', 'onConnection'] as const) {
  t.test(`onMessage is not called after onClose, when ${slow} takes longer than closeTimeout`, async (t) => {
    const order: unknown[] = []
    const settle = deferred()
    const closed = deferred()
    const { port } = await startApp(t, (app) => {
      app.websocketRoute('/', {
        closeTimeout: 100,
        async onConnection (conn) {
          if (slow === 'onMessage') return
          conn.on('message', () => {})
          await settle.promise
        },
        async onMessage (_conn, message) {
          order.push(message)
          await settle.promise
        },
        onClose () { order.push('onClose'); closed.resolve() }
      })
    })
    const client = await openRaw(t, port)
    client.write(Buffer.concat([...['a', 'b', 'c'].map(textFrame), closeFrame(1000)]))
    await closed.promise
    settle.resolve()
    await new Promise(setImmediate)
    t.same(order, slow === 'onMessage' ? ['a', 'onClose'] : ['onClose'])
  })
}

t.test('an iteration that outlasts onClose has the rest, and onMessage nothing of it', async (t) => {
  const order: unknown[] = []
  const goOn = deferred()
  const done = deferred()
  const { client, close } = await open(t, {
    onMessage (conn: WebSocketConnection, message: unknown) {
      order.push(message)
      const iterate = async (): Promise<void> => {
        for await (const next of conn) {
          order.push(`next ${String(next)}`)
          await goOn.promise
          if (next === 'c') break
        }
        done.resolve()
      }
      void iterate()
    }
  })
  client.write(Buffer.concat([...['a', 'b', 'c', 'd'].map(textFrame), closeFrame(1000)]))
  await close
  goOn.resolve()
  await done.promise
  await new Promise(setImmediate)
  t.same(order, ['a', 'next b', 'next c'])
})

t.test('close() reads on, also while the connection is paused', async (t) => {
  const { client, conn, close, event } = await open(t, { closeTimeout: 300_000 })
  conn.pause()
  conn.close(1000)
  client.write(closeFrame(1000))
  await client.untilEnd()
  client.socket.end()
  t.match(await close, { code: 1000 })
  t.same(await event, [1000, ''], 'the answer was read')
})

t.test('a pause that comes after close() lasts until closeTimeout, and the answer is read then', async (t) => {
  const { client, conn, close, event } = await open(t)
  conn.close(1000)
  conn.pause()
  client.write(closeFrame(1000))
  t.match(await close, { code: 1000 })
  t.same(await event, [1000, ''], 'the answer was read')
})

t.test('a peer that never answers, and keeps talking, is gone after closeTimeout', async (t) => {
  const { client, conn, event } = await open(t)
  const talk = setInterval(() => client.write(textFrame('still here')), 5)
  t.teardown(() => clearInterval(talk))
  conn.close(1000)
  t.same(await event, [1006, ''])
})

/** Sends until something waits in this process, and not more than a peer may leave lying. */
function fill (conn: WebSocketConnection): void {
  while (conn.bufferedAmount === 0) conn.send(Buffer.alloc(16_384))
}

for (const heartbeat of [30_000, false]) {
  for (const perMessageDeflate of [false, true]) {
    t.test(`a peer that ends its side and does not read is gone after closeTimeout (heartbeat ${heartbeat}, deflate ${perMessageDeflate})`, async (t) => {
      const { client, conn, close, event } = await open(t, { heartbeat, perMessageDeflate }, perMessageDeflate ? DEFLATE : {})
      client.socket.pause()
      if (perMessageDeflate) while (conn.bufferedAmount === 0) { conn.send(randomBytes(16_384)); await new Promise(setImmediate) }
      else fill(conn)
      client.socket.end()
      t.same(await close, { code: 1006, reason: '', initiator: 'network' })
      t.same(await event, [1006, ''])
    })
  }
}

t.test('a peer that ends its side and reads on gets all that was sent', async (t) => {
  const { client, conn, close } = await open(t, { closeTimeout: 10_000 })
  client.socket.pause()
  fill(conn)
  client.socket.end(maskedFrame(0x89, Buffer.alloc(0)))
  await eventually(() => conn.readyState !== conn.OPEN)
  client.socket.resume()
  t.same(await close, { code: 1006, reason: '', initiator: 'network' })
  await client.untilEnd()
  t.equal(client.frames.reduce((sum, { payload }) => sum + payload.length, 0) % 16_384, 0, 'and no frame is cut')
})

/** Leaves the client's side of the socket open when the server has ended its own. */
function leaveOpen ({ socket }: RawClient): void {
  socket.removeAllListeners('end')
}

for (const [who, options, headers] of [['peer'], ['server'], ['peer', { perMessageDeflate: true }, DEFLATE]] as const) {
  const what = options === undefined ? '' : ' (deflate)'
  t.test(`after the close frames, of which the ${who} sent the first, the connection is closing until its socket has closed${what}`, async (t) => {
    const { client, conn, closes, event } = await open(t, { closeTimeout: 10_000, ...options }, headers)
    leaveOpen(client)
    const wasClean = new Promise<boolean>((resolve) => conn.addEventListener('close', (event) => resolve(event.wasClean)))
    if (who === 'server') conn.close(4001, 'first')
    client.write(closeFrame(4002, 'peer'))
    await client.untilEnd()
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
    t.equal(conn.readyState, conn.CLOSING)
    t.same(closes, [])
    conn.close(1000)
    conn.send('too late')
    client.socket.end()
    t.same(await event, [4002, 'peer'], 'what the peer sent')
    t.equal(conn.readyState, conn.CLOSED)
    t.equal(await wasClean, true)
    t.match(closes, [who === 'peer' ? { code: 4002, reason: 'peer' } : { code: 4001, reason: 'first' }])
  })
}

t.test('a peer that has exchanged close frames, and does not end its side, is gone after closeTimeout', async (t) => {
  const { client, close, event } = await open(t)
  leaveOpen(client)
  const talk = setInterval(() => client.write(textFrame('still here')), 5)
  t.teardown(() => clearInterval(talk))
  client.write(closeFrame(4003))
  t.same(await event, [4003, ''])
  t.match(await close, { code: 4003, initiator: 'peer' })
})

t.test('terminate() after the close frames ends the socket at once', async (t) => {
  const { client, conn, event } = await open(t, { closeTimeout: 100_000 })
  leaveOpen(client)
  client.write(closeFrame(4004))
  await client.untilEnd()
  await eventually(() => conn.readyState === conn.CLOSING)
  await new Promise(setImmediate)
  conn.terminate()
  t.same(await event, [4004, ''])
  t.equal(conn.readyState, conn.CLOSED)
})

for (const [end, how] of [
  ['resets', async ({ client }: Ended) => { client.socket.resetAndDestroy() }],
  ['stays, while the server closes,', async ({ app }: Ended) => { await app.close() }]
] as const) {
  t.test(`a peer that ${end} after the close frames has closed the connection with its own`, async (t) => {
    const ended = await open(t, { closeTimeout: end === 'resets' ? 100_000 : 100 })
    leaveOpen(ended.client)
    ended.client.write(closeFrame(4006, 'own'))
    await ended.client.untilEnd()
    await how(ended)
    t.same(await ended.event, [4006, 'own'])
    t.same(await ended.close, { code: 4006, reason: 'own', initiator: 'peer' })
    t.equal(ended.conn.readyState, ended.conn.CLOSED)
    t.equal(ended.closes.length, 1)
    await ended.app.close()
  })
}

t.test('a reset right behind the close frame is a close like any other', async (t) => {
  const { client, conn, close, event } = await open(t, { closeTimeout: 100_000 })
  client.write(closeFrame(4005))
  conn.prependOnceListener('close', () => t.equal(conn.readyState, conn.CLOSED))
  client.socket.resetAndDestroy()
  t.match(await close, { initiator: /peer|network/ })
  t.match(await event, [/4005|1006/, ''])
})

t.test('close() between acceptWith() and the 101 closes the connection as soon as it is open', async (t) => {
  const close = deferred<ConnectionClose>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onSend: async () => { await new Promise(setImmediate) },
      onHandshake (conn) {
        conn.acceptWith()
        t.throws(() => conn.close(1005), { code: 'FST_ERR_WS_CLOSE_CODE' })
        conn.close(4000, 'changed my mind')
        conn.close(4001)
      },
      onClose (_conn, result) { close.resolve(result) }
    })
  })
  const client = await openRaw(t, port)
  t.same(await client.untilClose(), { code: 4000, reason: 'changed my mind' })
  client.write(closeFrame(4000))
  t.same(await close.promise, { code: 4000, reason: 'changed my mind', initiator: 'server' })
})

t.test('close() after a refusal does nothing', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onHandshake (conn) {
        conn.reject({ code: 401 })
        conn.close(1000)
      }
    })
  })
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/`)).status, 401)
})

t.test('during the handshake close() names reject, and terminate() drops the socket', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onHandshake (conn) {
        t.throws(() => conn.close(), {
          code: 'FST_ERR_WS_NOT_OPEN',
          message: 'conn.close() was called during the handshake, when there is no open WebSocket yet: call conn.reject() to refuse it'
        })
        conn.terminate()
      }
    })
  })
  const client = await RawClient.connect(t, port)
  client.write(handshake('/'))
  t.equal((await client.untilEnd()).length, 0)
})

t.test('a close code is one that may be sent (RFC 6455 section 7.4)', async (t) => {
  const sendable = Array.from({ length: 5001 }, (_, code) => code).filter(isSendableCode)
  t.same(sendable.filter((code) => code < 3000), [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014])
  t.equal(sendable.length, 12 + 2000)
})

t.test('a reason is cut on the border of a character', async (t) => {
  for (const [text, expected] of [
    ['short', 'short'], ['x'.repeat(123), 'x'.repeat(123)], ['x'.repeat(124), 'x'.repeat(123)],
    ['€'.repeat(42), '€'.repeat(41)], ['😀'.repeat(31), '😀'.repeat(30)], ['x' + 'é'.repeat(80), 'x' + 'é'.repeat(61)]
  ] as const) t.equal(cutReason(text), expected)
})
