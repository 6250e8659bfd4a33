// What comes in: no message is lost, none is out of order, and a slow handler slows its own client only.
import { on, once } from 'node:events'
import t from 'tap'
import { createWebSocketStream, type WebSocket } from 'ws'
import type { WebSocketConnection } from '../../index.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { closed, connect, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, handshake, maskedFrame, openRaw, RawClient, textFrame } from '../support/raw.ts'

t.setTimeout(240_000)

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i))
const textFrames = (texts: string[]): Buffer => Buffer.concat(texts.map(textFrame))

/** A server whose connections are kept. */
async function startWith (t: Parameters<typeof startApp>[0], options: object): Promise<TestApp & { connection: Promise<WebSocketConnection> }> {
  const connection = deferred<WebSocketConnection>()
  const started = await startApp(t, (app) => {
    app.websocketRoute('/', { onHandshake (conn) { connection.resolve(conn) }, ...options })
  })
  return { ...started, connection: connection.promise }
}

// ---- the start -------------------------------------------------------------------------------------------------------------

// Every way to take messages, and where: nothing that came before is lost, not even with the handshake itself.
const consumers: Record<string, (conn: WebSocketConnection, take: (text: string) => void) => unknown> = {
  'a listener': (conn, take) => { conn.on('message', (data) => take(String(data))) },
  addEventListener: (conn, take) => { conn.addEventListener('message', ({ data }) => take(String(data))) },
  'events.on': async (conn, take) => { for await (const [data] of on(conn, 'message', { close: ['close'] })) take(String(data)) },
  createWebSocketStream: (conn, take) => { createWebSocketStream(conn, { readableObjectMode: true }).on('data', (data) => take(String(data))).on('error', () => {}) },
  iteration: async (conn, take) => { for await (const message of conn) take(String(message)) },
  'iteration by hand': async (conn, take) => {
    const iterator = conn[Symbol.asyncIterator]()
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) take(String(next.value))
  }
}

for (const [name, consume] of Object.entries(consumers)) {
  for (const when of ['in a sync onConnection', 'in an async onConnection, at once', 'in an async onConnection, late', 'in onHandshake']) {
    if (when === 'in onHandshake' && name.startsWith('iteration')) continue
    t.test(`${name} ${when} loses none of the messages that came with the handshake and after it`, async (t) => {
      const texts: string[] = []
      const isAll = deferred()
      const mayListen = deferred()
      const take = (text: string): void => { if (texts.push(text) === 200) isAll.resolve() }
      const { port } = await startApp(t, (app) => {
        app.websocketRoute('/', {
          onHandshake (conn) { if (when === 'in onHandshake') void consume(conn, take) },
          onConnection (conn) {
            if (when === 'in onHandshake') return
            if (when === 'in a sync onConnection') { void consume(conn, take); return }
            return (async () => {
              if (when.endsWith('late')) await mayListen.promise
              await consume(conn, take)
            })()
          }
        })
      })
      const client = await RawClient.connect(t, port)
      client.write(Buffer.concat([Buffer.from(handshake('/')), textFrames(numbers(100))]))
      await client.head()
      client.write(textFrames(numbers(200).slice(100)))
      mayListen.resolve()
      await isAll.promise
      t.same(texts, numbers(200))
    })
  }
}

t.test('what nobody has taken when onConnection has settled is discarded, and counted', async (t) => {
  const settle = deferred()
  const seen: string[] = []
  const { app, port, connection, logs } = await startWith(t, { onConnection: () => settle.promise })
  const client = await openRaw(t, port)
  client.write(Buffer.concat([textFrame('dropped'), textFrame('dropped'), maskedFrame(0x89, Buffer.from('ping'))]))
  const conn = await connection
  t.equal((await client.untilFrames(1))[0]?.payload.toString(), 'ping', 'it is read, and held')
  t.equal(app.websockets.stats.discarded, 0)
  settle.resolve()
  await eventually(() => app.websockets.stats.discarded === 2)
  client.write(Buffer.concat([textFrame('dropped'), maskedFrame(0x89, Buffer.from('ping'))]))
  await client.untilFrames(2)
  t.equal(app.websockets.stats.discarded, 3)
  t.match(logs.filter(({ msg }) => /is discarded/.test(String(msg))), [{ level: 20, connId: conn.id }], 'one line')
  conn.on('message', (data) => seen.push(String(data)))
  client.write(textFrame('seen'))
  await once(conn, 'message')
  t.same(seen, ['seen'])
})

t.test('messages between two listeners are kept while onConnection is pending', async (t) => {
  const seen: string[] = []
  const done = deferred()
  const { port } = await startWith(t, {
    async onConnection (conn: WebSocketConnection) {
      for (let i = 0; i < 4; i++) {
        const [data] = await once(conn, 'message')
        seen.push(String(data))
        await new Promise((resolve) => setImmediate(resolve))
      }
      done.resolve()
    }
  })
  const client = await openRaw(t, port)
  client.write(textFrames(numbers(4)))
  await done.promise
  t.same(seen, numbers(4))
})

t.test('a pause of the user outlasts the start', async (t) => {
  const seen: string[] = []
  const { port, connection } = await startWith(t, {
    onConnection (conn: WebSocketConnection) {
      conn.pause()
      conn.on('message', (data) => seen.push(String(data)))
    }
  })
  const client = await openRaw(t, port)
  client.write(textFrame('later'))
  const conn = await connection
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.same([seen, conn.isPaused], [[], true])
  conn.resume()
  await once(conn, 'message')
  t.same([seen, conn.isPaused], [['later'], false])
})

// ---- onMessage -------------------------------------------------------------------------------------------------------------

t.test('onMessage gets text as strings and binary messages as Buffers, with the instance as this', async (t) => {
  const messages: unknown[] = []
  const all = deferred()
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/:name', {
      onMessage (conn, message) {
        t.equal(this, app)
        t.same(conn.request.params, { name: 'x' })
        if (messages.push(message) === 3) all.resolve()
      }
    })
  })
  t.ok(app)
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/x`)
  socket.send('text')
  socket.send(Buffer.from([0, 255]))
  socket.send('')
  await all.promise
  t.same(messages, ['text', Buffer.from([0, 255]), ''])
  t.ok(Buffer.isBuffer(messages[1]))
})

t.test('onMessage alone makes a route, and waits for onConnection', async (t) => {
  const order: string[] = []
  const settle = deferred()
  const done = deferred()
  const { port, connection } = await startWith(t, {
    onConnection: async () => { order.push('onConnection'); await settle.promise; order.push('settled') },
    onMessage (_conn: unknown, message: string) { order.push(message); if (message === '2') done.resolve() }
  })
  const client = await openRaw(t, port)
  client.write(textFrames(numbers(3)))
  const conn = await connection
  const listened = once(conn, 'message')
  t.equal(String((await listened)[0]), '0', 'a listener need not wait')
  t.same(order, ['onConnection'])
  settle.resolve()
  await done.promise
  t.same(order, ['onConnection', 'settled', '0', '1', '2'])
})

t.test('onMessage is called for one message at a time, in order', async (t) => {
  const order: string[] = []
  const done = deferred()
  const { port } = await startWith(t, {
    async onMessage (_conn: unknown, message: string) {
      order.push(`+${message}`)
      // Some settle in this turn of the event loop and some later.
      if (Number(message) % 3 > 0) await new Promise((resolve) => setTimeout(resolve, Number(message) % 3 - 1))
      order.push(`-${message}`)
      if (message === '99') done.resolve()
    }
  })
  const client = await openRaw(t, port)
  client.write(textFrames(numbers(50)))
  client.write(textFrames(numbers(100).slice(50)))
  await done.promise
  t.same(order, numbers(100).flatMap((text) => [`+${text}`, `-${text}`]))
})

t.test('a thenable of another library is waited for', async (t) => {
  const order: string[] = []
  const done = deferred()
  const { port } = await startWith(t, {
    onMessage (_conn: unknown, message: string) {
      order.push(`+${message}`)
      return { then (resolve: () => void) { setImmediate(() => { order.push(`-${message}`); resolve(); if (message === '1') done.resolve() }) } }
    }
  })
  const client = await openRaw(t, port)
  client.write(textFrames(['0', '1']))
  await done.promise
  t.same(order, ['+0', '-0', '+1', '-1'])
})

t.test('while onMessage is pending its connection is not read, and others are', async (t) => {
  const settle = deferred()
  const first = deferred<WebSocketConnection>()
  let count = 0
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/slow', {
      onMessage (conn) { count++; first.resolve(conn); return settle.promise }
    })
    app.websocketRoute('/echo', { onMessage (conn, message) { conn.send(message) } })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/slow`)
  const data = Buffer.alloc(256 * 1024)
  for (let i = 0; i < 256; i++) socket.send(data)
  const conn = await first.promise
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  t.equal(conn.request.socket.isPaused(), true)
  // As long as another client is served, the slow one is not.
  const { socket: other } = await connect(t, `ws://127.0.0.1:${port}/echo`)
  for (const text of numbers(200)) {
    other.send(text)
    t.equal(await nextMessage(other), text)
  }
  t.equal(count, 1)
  t.ok(socket.bufferedAmount > 32 * 1024 * 1024, 'TCP holds the client back')
  const all = once(conn, 'close')
  settle.resolve()
  socket.close()
  await all
  t.equal(count, 256, 'none was lost')
})

t.test('messages that came before the close of the peer reach onMessage, and then onClose is called', async (t) => {
  const order: string[] = []
  const done = deferred()
  const { port, connection } = await startWith(t, {
    async onMessage (conn: WebSocket, message: string) {
      if (message === 'a') await once(conn, 'close')
      order.push(message)
    },
    onClose (_conn: unknown, { code }: { code: number }) { order.push(String(code)); done.resolve() }
  })
  const client = await openRaw(t, port)
  client.write(Buffer.concat([textFrames(['a', 'b', 'c']), closeFrame(4001)]))
  await once(await connection, 'close')
  t.same(order, [], 'onMessage is still busy')
  await done.promise
  t.same(order, ['a', 'b', 'c', '4001'])
})

t.test('onMessage and what it calls have the asynchronous context of the handshake, and so have listeners', async (t) => {
  const { AsyncLocalStorage } = await import('node:async_hooks')
  const storage = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const done = deferred()
  const { port } = await startApp(t, (app) => {
    app.addHook('onRequest', (request, _reply, next) => { storage.run(String(request.headers['x-user']), next) })
    app.websocketRoute('/', {
      onConnection (conn) {
        seen.push(['onConnection', storage.getStore()])
        conn.on('message', () => { seen.push(['listener', storage.getStore()]) })
      },
      async onMessage () {
        await null
        seen.push(['onMessage', storage.getStore()])
        throw new Error('failed')
      },
      onError (conn) { seen.push(['onError', storage.getStore()]); conn.close() },
      onClose () { seen.push(['onClose', storage.getStore()]); done.resolve() }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`, [], { headers: { 'x-user': 'ada' } })
  socket.send('x')
  await done.promise
  t.same(seen, ['onConnection', 'listener', 'onMessage', 'onError', 'onClose'].map((name) => [name, 'ada']))
})

t.test('binary messages come in the type that the connection is set to', async (t) => {
  const seen: unknown[] = []
  const done = deferred()
  const { port, connection } = await startWith(t, {
    onConnection (conn: WebSocketConnection) { conn.binaryType = 'fragments' },
    onMessage (conn: WebSocketConnection, message: unknown) {
      seen.push(message)
      conn.binaryType = seen.length === 1 ? 'arraybuffer' : 'blob' as 'fragments'
      if (seen.length === 3) done.resolve()
    },
    onClose (_conn: unknown, close: object) { seen.push(close) }
  })
  const client = await openRaw(t, port)
  for (let i = 0; i < 3; i++) {
    client.write(Buffer.concat([maskedFrame(0x02, Buffer.from('ab')), maskedFrame(0x80, Buffer.from('c'))]))
    await once(await connection, 'message')
  }
  await done.promise
  t.same(seen[0], [Buffer.from('ab'), Buffer.from('c')])
  t.same(Buffer.from(seen[1] as ArrayBuffer), Buffer.from('abc'))
  t.equal(await (seen[2] as Blob).text(), 'abc')
})

t.test('a pause in onHandshake lasts until the resume', async (t) => {
  const seen: string[] = []
  const { port, connection } = await startWith(t, {
    onHandshake (conn: WebSocketConnection) { conn.pause(); conn.on('message', (data) => seen.push(String(data))) },
    onConnection (conn: WebSocketConnection) { connections.resolve(conn) }
  })
  t.ok(connection)
  const client = await openRaw(t, port)
  client.write(textFrame('x'))
  const conn = await connections.promise
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.same([seen, conn.isPaused], [[], true])
  conn.resume()
  await once(conn, 'message')
  t.same(seen, ['x'])
})
const connections = deferred<WebSocketConnection>()

t.test('a resume in onHandshake takes the pause back', async (t) => {
  const message = deferred<string>()
  const { port } = await startWith(t, {
    onHandshake (conn: WebSocketConnection) {
      conn.pause()
      conn.resume()
      conn.on('message', (data) => message.resolve(String(data)))
    }
  })
  const client = await openRaw(t, port)
  client.write(textFrame('x'))
  t.equal(await message.promise, 'x')
})

t.test('onMessage is not called inside itself, whatever it does', async (t) => {
  const order: string[] = []
  const done = deferred()
  const { port } = await startWith(t, {
    onMessage (conn: WebSocketConnection, message: string) {
      order.push(`+${message}`)
      void conn[Symbol.asyncIterator]().return?.()
      order.push(`-${message}`)
      if (message === '2') done.resolve()
    }
  })
  const client = await openRaw(t, port)
  client.write(textFrames(numbers(3)))
  await done.promise
  t.same(order, ['+0', '-0', '+1', '-1', '+2', '-2'])
})

t.test('while onMessage is pending, frames that are no messages are dealt with, and messages wait up to highWaterMark', async (t) => {
  const settle = deferred()
  const started = deferred<WebSocketConnection>()
  let count = 0
  const { port } = await startWith(t, {
    highWaterMark: 10_000,
    onMessage (conn: WebSocketConnection) { count++; started.resolve(conn); return settle.promise }
  })
  const client = await openRaw(t, port)
  client.write(Buffer.concat([textFrames(numbers(10)), maskedFrame(0x89, Buffer.from('ping'))]))
  const conn = await started.promise
  t.equal((await client.untilFrames(1))[0]?.payload.toString(), 'ping')
  t.equal(conn.request.socket.isPaused(), false)
  // Nine wait; each counts with what it costs to keep it.
  client.write(Buffer.alloc(100 * 6, textFrame('')))
  await eventually(() => conn.request.socket.isPaused())
  t.equal(conn.isPaused, false, 'the user has not paused it')
  conn.resume()
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(conn.request.socket.isPaused(), true, 'nor can resume it')
  settle.resolve()
  await eventually(() => !conn.request.socket.isPaused() && count === 110)
  t.pass('and it goes on')
})

t.test('a message that comes within onMessage is next', async (t) => {
  const order: string[] = []
  const done = deferred()
  const { port } = await startWith(t, {
    onMessage (conn: WebSocketConnection, message: string) {
      order.push(`+${message}`)
      if (message === 'a') conn.emit('message', Buffer.from('b'), false)
      order.push(`-${message}`)
      if (message === 'b') done.resolve()
    }
  })
  const client = await openRaw(t, port)
  client.write(textFrame('a'))
  await done.promise
  t.same(order, ['+a', '-a', '+b', '-b'])
})

t.test("after one's own close() what waits is still bounded, and the close frame of the peer is read when there is room", async (t) => {
  const takeAll = deferred<number>()
  const { port, connection } = await startWith(t, {
    highWaterMark: 10_000,
    async onConnection (conn: WebSocketConnection) {
      await eventually(() => conn.request.socket.isPaused())
      conn.close(1000)
      await new Promise((resolve) => setImmediate(resolve))
      t.equal(conn.request.socket.isPaused(), true)
      let count = 0
      for await (const message of conn) count += String(message).length
      takeAll.resolve(count)
    }
  })
  const client = await openRaw(t, port)
  client.write(Buffer.concat([...Array.from({ length: 100 }, () => textFrame('x'.repeat(1000))), closeFrame(1000)]))
  t.equal(await takeAll.promise, 100_000)
  t.equal((await connection).readyState, 3)
})

t.test('a flood of messages leaves others their turn', async (t) => {
  const seen: number[] = []
  let turnAfter = Infinity
  const done = deferred()
  const { port } = await startWith(t, {
    onMessage (_conn: unknown, message: string) {
      if (seen.length === 0) setImmediate(() => { turnAfter = seen.length })
      if (seen.push(Number(message)) === 5000) done.resolve()
    }
  })
  const client = await openRaw(t, port)
  client.write(textFrames(numbers(5000)))
  await done.promise
  t.ok(turnAfter <= 500, `after ${turnAfter} messages`)
  t.same(seen, numbers(5000).map(Number))
})

t.test('a flood of pongs leaves others their turn', async (t) => {
  const pong = maskedFrame(0x8a, Buffer.alloc(0))
  const total = 200_000
  let [count, inTurn, most] = [0, 0, 0]
  const done = deferred()
  const { port } = await startWith(t, {
    onConnection (conn: WebSocketConnection) {
      conn.on('pong', () => {
        if (inTurn++ === 0) setImmediate(() => { inTurn = 0 })
        most = Math.max(most, inTurn)
        if (++count === total) done.resolve()
      })
    }
  })
  const client = await openRaw(t, port)
  client.write(Buffer.alloc(total * pong.length, pong))
  await done.promise
  t.ok(most <= Math.ceil(65_536 / pong.length), `${most} pongs, no more than are in one chunk`)
})

// ---- iteration -------------------------------------------------------------------------------------------------------------

t.test('an iteration ends when the connection is closed with 1000, with 1001 or without a code', async (t) => {
  for (const frame of [closeFrame(1000), closeFrame(1001), maskedFrame(0x88, Buffer.alloc(0))]) {
    const seen: unknown[] = []
    const ended = deferred()
    const { port } = await startWith(t, {
      async onConnection (conn: WebSocketConnection) {
        for await (const message of conn) seen.push(message)
        ended.resolve()
      }
    })
    const client = await openRaw(t, port)
    client.write(Buffer.concat([textFrame('a'), maskedFrame(0x82, Buffer.from('b')), frame]))
    await ended.promise
    t.same(seen, ['a', Buffer.from('b')])
  }
})

t.test('an iteration that begins when the connection has closed hands out what is held, and ends as it would have', async (t) => {
  for (const [code, end] of [[1000, 'ended'], [4001, 'FST_ERR_WS_CLOSED']] as const) {
    const seen: unknown[] = []
    const done = deferred<string>()
    const { app, port } = await startWith(t, {
      async onConnection (conn: WebSocketConnection) {
        await once(conn, 'close')
        try {
          for await (const message of conn) seen.push(message)
          done.resolve('ended')
        } catch (error) {
          done.resolve((error as { code: string }).code)
          throw error
        }
      }
    })
    const client = await openRaw(t, port)
    client.write(Buffer.concat([...['a', 'b'].map(textFrame), closeFrame(code)]))
    t.equal(await done.promise, end)
    t.same(seen, ['a', 'b'])
    await app.close()
  }
})

t.test('an iteration throws after any other close, with its code and reason', async (t) => {
  const ends: Record<string, (client: RawClient, conn: WebSocketConnection) => void> = {
    '4001 "bye"': (client) => client.write(closeFrame(4001, 'bye')),
    1006: (client) => { client.socket.resetAndDestroy() },
    1002: (client) => client.write(Buffer.from([0xff, 0xff])),
    '4002 "go"': (client, conn) => { conn.close(4002, 'go'); client.write(closeFrame(4002, 'go')) }
  }
  for (const [name, end] of Object.entries(ends)) {
    const failed = deferred<Error & { code?: string, closeCode?: number, reason?: string }>()
    const seen: unknown[] = []
    const { port, connection } = await startWith(t, {
      async onConnection (conn: WebSocketConnection) { for await (const message of conn) seen.push(message) },
      onError (_conn: unknown, error: Error) { if ((error as { code?: string }).code === 'FST_ERR_WS_CLOSED') failed.resolve(error) }
    })
    const client = await openRaw(t, port)
    client.write(textFrame('first'))
    const conn = await connection
    await new Promise<void>((resolve) => { const wait = (): void => { if (seen.length > 0) resolve(); else setImmediate(wait) }; wait() })
    end(client, conn)
    const error = await failed.promise
    const [, code, reason = ''] = /^(\d+)(?: "(.*)")?$/.exec(name) ?? []
    t.match(error, { code: 'FST_ERR_WS_CLOSED', closeCode: Number(code), reason })
    t.equal(error.message, `The connection was closed with ${name.replaceAll('"', "'")}`)
    t.same(seen, ['first'])
  }
})

t.test('an iteration that ends the connection by itself is over, and one that starts afterwards too', async (t) => {
  const done = deferred<unknown[]>()
  const { port } = await startWith(t, {
    async onConnection (conn: WebSocketConnection) {
      const seen: unknown[] = []
      for await (const message of conn) {
        seen.push(message)
        conn.close(1000)
      }
      for await (const message of conn) seen.push(message)
      t.same(await conn[Symbol.asyncIterator]().next(), { done: true, value: undefined })
      done.resolve(seen)
    }
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  for (const text of ['a', 'b', 'c']) socket.send(text)
  t.same(await done.promise, ['a', 'b', 'c'], 'up to the close frame of the peer')
})

t.test('break leaves the connection open; what comes then waits for whoever is next', async (t) => {
  const goOn = deferred()
  const order: unknown[] = []
  const done = deferred()
  const { port, connection } = await startWith(t, {
    async onConnection (conn: WebSocketConnection) {
      for await (const message of conn) { order.push(['first', message]); if (message === '1') break }
      await goOn.promise
      for await (const message of conn) { order.push(['second', message]); if (message === '4') break }
      await new Promise((resolve) => setTimeout(resolve, 5))
      conn.once('message', (data) => order.push(['once', String(data)]))
      await once(conn, 'message')
      await new Promise((resolve) => setTimeout(resolve, 5))
      conn.on('message', (data) => { order.push(['listener', String(data)]); if (String(data) === '9') done.resolve() })
    }
  })
  const client = await openRaw(t, port)
  client.write(textFrames(numbers(8)))
  const conn = await connection
  client.write(maskedFrame(0x89, Buffer.from('x')))
  await client.untilFrames(1)
  t.equal(conn.isPaused, false, 'it is read, pings and close frames are seen')
  goOn.resolve()
  client.write(textFrames(['8', '9']))
  await done.promise
  t.same(order, [
    ...['0', '1'].map((text) => ['first', text]), ...['2', '3', '4'].map((text) => ['second', text]),
    ['once', '5'], ...['6', '7', '8', '9'].map((text) => ['listener', text])
  ])
})

t.test('a listener beside an iteration sees every message once, also those that the iteration has left', async (t) => {
  const seen: unknown[] = []
  const late: unknown[] = []
  const taken: unknown[] = []
  const done = deferred()
  const { port, connection } = await startWith(t, {
    async onConnection (conn: WebSocketConnection) {
      conn.on('message', (data) => seen.push(String(data)))
      for await (const message of conn) {
        taken.push(message)
        if (message === '0') break
      }
      conn.on('message', (data) => { late.push(String(data)); if (String(data) === '9') done.resolve() })
    }
  })
  const client = await openRaw(t, port)
  client.write(textFrames(numbers(5)))
  client.write(maskedFrame(0x89, Buffer.from('x')))
  await client.untilFrames(1)
  client.write(textFrames(['5', '6', '7', '8', '9']))
  await done.promise
  t.same(taken, ['0'])
  t.same(seen, numbers(10))
  t.same(late, ['5', '6', '7', '8', '9'])
  t.equal((await connection).isPaused, false)
})

t.test('a listener that comes while an iteration runs gets what comes after it, and what the iteration leaves', async (t) => {
  const seen: unknown[] = []
  const done = deferred()
  const { port } = await startWith(t, {
    async onConnection (conn: WebSocketConnection) {
      for await (const message of conn) {
        if (message === '1') break
        await new Promise(setImmediate)
        conn.on('message', (data) => { seen.push(String(data)); if (String(data) === '5') done.resolve() })
      }
    }
  })
  const client = await openRaw(t, port)
  client.write(textFrames(numbers(4)))
  client.write(maskedFrame(0x89, Buffer.from('x')))
  await client.untilFrames(1)
  client.write(textFrames(['4', '5']))
  await done.promise
  t.same(seen, ['2', '3', '4', '5'])
})

t.test('while nobody takes what comes after a break, no more than highWaterMark is let in', async (t) => {
  const done = deferred<number>()
  const takeRest = deferred()
  const { port, connection } = await startWith(t, {
    highWaterMark: 10_000,
    async onConnection (conn: WebSocketConnection) {
      for await (const message of conn) { if (String(message) !== '') break }
      await takeRest.promise
      let count = 0
      for await (const message of conn) { count++; if (message === 'last') break }
      done.resolve(count)
    }
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  for (let i = 0; i < 300; i++) socket.send(Buffer.alloc(200_000, i))
  socket.send('last')
  const conn = await connection
  while (!conn.request.socket.isPaused()) await new Promise((resolve) => setTimeout(resolve, 1))
  t.ok(socket.bufferedAmount > 20_000_000)
  takeRest.resolve()
  t.equal(await done.promise, 300)
})

t.test('onMessage gets what an iteration in onConnection has left', async (t) => {
  const order: unknown[] = []
  const done = deferred()
  const { port } = await startWith(t, {
    async onConnection (conn: WebSocketConnection) {
      const iterator = conn[Symbol.asyncIterator]()
      order.push(['login', (await iterator.next()).value])
      await iterator.return?.()
      await new Promise((resolve) => setTimeout(resolve, 5))
    },
    onMessage (_conn: unknown, message: string) { order.push(['message', message]); if (message === '4') done.resolve() }
  })
  const client = await openRaw(t, port)
  client.write(textFrames(numbers(3)))
  client.write(textFrames(['3', '4']))
  await done.promise
  t.same(order, [['login', '0'], ...['1', '2', '3', '4'].map((text) => ['message', text])])
})

t.test('an iteration that onMessage starts takes what comes next', async (t) => {
  const order: unknown[] = []
  const done = deferred()
  const { port } = await startWith(t, {
    onMessage (conn: WebSocketConnection, message: string) {
      order.push(['message', message])
      if (message !== '0') { done.resolve(); return }
      const iterator = conn[Symbol.asyncIterator]()
      void iterator.next().then(async ({ value }) => {
        order.push(['iteration', value])
        await iterator.return?.()
      })
    }
  })
  const client = await openRaw(t, port)
  client.write(textFrames(numbers(3)))
  await done.promise
  t.same(order, [['message', '0'], ['iteration', '1'], ['message', '2']])
})

t.test('of several iterations each message goes to one, and return ends the one that waits', async (t) => {
  const { port, connection } = await startWith(t, { onConnection () {} })
  const client = await openRaw(t, port)
  const conn = await connection
  const [a, b] = [conn[Symbol.asyncIterator](), conn[Symbol.asyncIterator]()]
  t.equal(a[Symbol.asyncIterator](), a)
  const [first, second, third] = [a.next(), b.next(), a.next()]
  client.write(textFrames(['0', '1']))
  t.same(await first, { done: false, value: '0' })
  t.same(await second, { done: false, value: '1' })
  t.same(await a.return?.(), { done: true, value: undefined })
  t.same(await third, { done: true, value: undefined })
  t.same(await a.next(), { done: true, value: undefined })
  t.same(await a.return?.(), { done: true, value: undefined }, 'it is over only once')
  client.write(textFrame('2'))
  t.same(await b.next(), { done: false, value: '2' })
})

t.test('an iteration is read as fast as it takes', async (t) => {
  const goOn = deferred()
  const started = deferred<WebSocketConnection>()
  let count = 0
  const { port } = await startWith(t, {
    async onConnection (conn: WebSocketConnection) {
      for await (const message of conn) {
        count += (message as Buffer).length
        started.resolve(conn)
        await goOn.promise
      }
    }
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  const data = Buffer.alloc(512 * 1024)
  for (let i = 0; i < 100; i++) socket.send(data)
  const conn = await started.promise
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  t.equal(conn.request.socket.isPaused(), true)
  t.equal(count, data.length)
  goOn.resolve()
  socket.close()
  await once(conn, 'close')
  t.equal(count, 100 * data.length)
})

t.test('the handshake has no messages to iterate over', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onHandshake (conn) {
        for (const call of [() => conn[Symbol.asyncIterator](), () => conn.send('x'), () => conn.sendMessage('x'), () => conn.ping(), () => conn.pong()]) {
          t.throws(call, { code: 'FST_ERR_WS_NOT_OPEN' })
        }
        t.rejects(conn.drained(), { code: 'FST_ERR_WS_NOT_OPEN' })
        t.equal(conn.latency, undefined)
      },
      onConnection (conn) { conn.close() }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  t.equal(await closed(socket), 1005)
})

t.test('a listener that is added by another name counts as one', async (t) => {
  const seen: string[] = []
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onConnection (conn) {
        conn.addListener('message', () => { seen.push('added') })
        conn.prependListener('message', (data) => {
          seen.push('prepended')
          conn.send(data)
        })
      }
    })
  })
  const client = await openRaw(t, port)
  client.write(textFrame('x'))
  await client.untilFrames(1)
  t.same(seen, ['prepended', 'added'])
})
