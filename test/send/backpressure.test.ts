// What goes out: a peer that reads slowly is waited for, held back, and in the end let go.
import { once } from 'node:events'
import t from 'tap'
import type { ConnectionClose, WebSocketConnection, WebSocketError } from '../../index.ts'
import { startApp, type Teardown } from '../support/app.ts'
import { connect } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, maskedFrame, openRaw, RawClient, textFrame } from '../support/raw.ts'

t.setTimeout(240_000)

const MEBIBYTE = 1024 * 1024
const DEFLATE = { 'Sec-WebSocket-Extensions': 'permessage-deflate' }

async function open (t: Teardown, options: object = {}, headers: Record<string, string> = {}) {
  const connection = deferred<WebSocketConnection>()
  const close = deferred<ConnectionClose>()
  const errors: WebSocketError[] = []
  const { port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onConnection (conn) { connection.resolve(conn) },
      onClose (_conn, result) { close.resolve(result) },
      onError (_conn, error) { errors.push(error) },
      ...options
    })
  })
  const client = await openRaw(t, port, '/', headers)
  return { client, conn: await connection.promise, close: close.promise, errors, logs, port }
}

/** Sends until the peer is slow; returns how many messages that took. */
async function congest (conn: WebSocketConnection, data: string | Buffer = Buffer.alloc(60_000)): Promise<number> {
  let count = 1
  for (; conn.sendMessage(data); count++) await new Promise((resolve) => setImmediate(resolve))
  return count
}

// ---- sendMessage() and drained() ----------------------------------------------------------------------------------------

t.test('sendMessage returns false over highWaterMark, and drained waits until the peer has read', async (t) => {
  const { client, conn } = await open(t)
  t.equal(conn.sendMessage('x'), true)
  await conn.drained()
  client.socket.pause()
  const count = await congest(conn)
  t.ok(conn.bufferedAmount > 65_536)
  t.equal(conn.sendMessage('x'), false)
  const called = new Promise((resolve) => conn.send(Buffer.alloc(200_000), resolve))
  let isDrained = false
  const both = Promise.all([conn.drained(), conn.drained()]).then(() => { isDrained = true })
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(isDrained, false)
  client.socket.resume()
  await both
  t.notOk(await called, 'without an error')
  t.ok(conn.bufferedAmount <= 65_536)
  t.equal(conn.sendMessage('last'), true)
  t.equal((await client.untilFrames(count + 4)).at(-1)?.payload.toString(), 'last')
})

t.test('highWaterMark is an option, and counts what is not written yet', async (t) => {
  const { conn } = await open(t, { highWaterMark: 1000 })
  conn.send(Buffer.alloc(900))
  t.equal(conn.sendMessage(Buffer.alloc(50)), true)
  // No tick has passed since, but the kernel takes at once what it can.
  while (conn.bufferedAmount <= 1000) conn.send(Buffer.alloc(100_000))
  t.equal(conn.sendMessage(''), false)
  await conn.drained()
  t.equal(conn.sendMessage(''), true)
})

t.test('a loop that awaits drained sends any amount in little memory', async (t) => {
  const { client, conn } = await open(t)
  let received = 0
  client.socket.removeAllListeners('data')
  client.socket.on('data', ({ length }: Buffer) => { received += length })
  let most = 0
  const data = Buffer.alloc(50_000)
  for (let i = 0; i < 1000; i++) {
    if (!conn.sendMessage(data)) await conn.drained()
    most = Math.max(most, conn.bufferedAmount)
  }
  await eventually(() => received >= 1000 * (data.length + 4))
  t.ok(most <= 65_536 + data.length + 4, `${most} bytes waited at most`)
})

for (const [how, end] of Object.entries<(client: RawClient, conn: WebSocketConnection) => unknown>({
  'the peer resets': (client) => client.socket.resetAndDestroy(),
  'the server terminates': (_client, conn) => conn.terminate(),
  'the server closes and the peer does not answer': (_client, conn) => conn.close(4001, 'bye')
})) {
  t.test(`drained rejects when ${how}`, async (t) => {
    const { client, conn } = await open(t, { closeTimeout: 50 })
    client.socket.pause()
    await congest(conn)
    const drained = conn.drained()
    const gone = once(conn, 'close')
    end(client, conn)
    // A reset is noticed when something is written.
    conn.ping()
    const closeCode = how.includes('closes') ? 4001 : 1006
    await t.rejects(drained, { code: 'FST_ERR_WS_CLOSED', closeCode })
    await gone
    await t.rejects(conn.drained(), { code: 'FST_ERR_WS_CLOSED', closeCode, message: closeCode === 4001 ? "The connection was closed with 4001 'bye'" : 'The connection was closed with 1006' })
  })
}

// ---- maxBufferedAmount ----------------------------------------------------------------------------------------------------

for (const [name, headers, data] of [
  ['', {}, Buffer.alloc(60_000)], [' with deflate', DEFLATE, Buffer.from(Array.from({ length: 60_000 }, () => Math.random() * 256))]
] as const) {
  for (const method of ['send', 'sendMessage', 'ping'] as const) {
    t.test(`over maxBufferedAmount ${method} terminates a slow consumer${name}`, async (t) => {
      const { client, conn, close, errors } = await open(t, { maxBufferedAmount: MEBIBYTE, perMessageDeflate: true }, headers)
      client.socket.pause()
      await congest(conn, data)
      while (conn.bufferedAmount <= MEBIBYTE) conn.send(data)
      t.ok(conn.bufferedAmount < 2 * MEBIBYTE)
      t.same([conn.readyState, errors.length], [conn.OPEN, 0])
      const failed = deferred<unknown>()
      if (method === 'sendMessage') t.equal(conn.sendMessage('one too many'), false)
      else if (method === 'send') conn.send('one too many', (error) => failed.resolve(error))
      else conn.ping('x', false, (error) => failed.resolve(error))
      t.match(errors, [{ code: 'FST_ERR_WS_SLOW_CONSUMER', statusCode: 500, message: /: 1\d{6} bytes wait to be sent, more than "maxBufferedAmount" \(1048576\)$/ }])
      if (method !== 'sendMessage') t.equal(await failed.promise, errors[0])
      t.same(await close, { code: 1006, reason: '', initiator: 'server' })
      conn.send('nobody is there')
      t.equal(errors.length, 1, 'it is told once')
    })
  }
}

t.test('without an onError a slow consumer is a warning', async (t) => {
  const { client, conn, close, logs } = await open(t, { maxBufferedAmount: 1000, onError: undefined })
  client.socket.pause()
  await congest(conn)
  conn.send('x')
  await close
  t.match(logs.filter(({ level }) => level >= 40), [{ level: 40, msg: 'WebSocket error', err: { code: 'FST_ERR_WS_SLOW_CONSUMER' } }])
})

t.test('a single message may be as long as it likes', async (t) => {
  const { client, conn } = await open(t)
  let received = 0
  client.socket.removeAllListeners('data')
  client.socket.on('data', ({ length }: Buffer) => { received += length })
  conn.send(Buffer.alloc(10 * MEBIBYTE))
  await eventually(() => received === 10 * MEBIBYTE + 10)
  t.equal(conn.readyState, conn.OPEN)
})

// ---- a slow peer is not read --------------------------------------------------------------------------------------------

for (const [name, options] of Object.entries({
  'a listener': { onConnection: undefined, onHandshake (conn: WebSocketConnection) { conn.on('message', (data) => conn.send(data)) } },
  onMessage: { onConnection: undefined, onMessage (conn: WebSocketConnection, message: Buffer) { conn.send(message) } },
  iteration: { onConnection: undefined, onHandshake (conn: WebSocketConnection) { conn.on('open', () => { void (async () => { for await (const message of conn) conn.send(message as Buffer) })() }) } }
})) {
  t.test(`an echo by ${name} does not read a peer that does not read, and loses nothing`, async (t) => {
    let conn: WebSocketConnection | undefined
    const { port } = await startApp(t, (app) => {
      app.addHook('onRequest', async () => {})
      app.websocketRoute('/', { ...options, onHandshake (connection: WebSocketConnection) { conn = connection; (options as { onHandshake?: (conn: WebSocketConnection) => void }).onHandshake?.(connection) } } as object)
    })
    const client = await openRaw(t, port)
    client.socket.pause()
    const data = Buffer.alloc(50_000, 'x')
    const count = 1000
    for (let i = 0; i < count; i++) client.write(maskedFrame(0x82, Buffer.concat([Buffer.from(String(i).padStart(4, '0')), data])))
    await eventually(() => (conn?.bufferedAmount ?? 0) > 65_536)
    await new Promise((resolve) => setTimeout(resolve, 50))
    t.equal(conn?.request.socket.isPaused(), true)
    t.ok((conn?.bufferedAmount ?? 1e9) < MEBIBYTE, `${conn?.bufferedAmount} bytes wait`)
    t.ok(client.socket.writableLength > 20 * MEBIBYTE, 'TCP holds the client back')
    // Counted as they come: to keep 50 MB would take long.
    let received = 0
    client.socket.removeAllListeners('data')
    client.socket.on('data', ({ length }: Buffer) => { received += length })
    client.socket.resume()
    await eventually(() => received === count * (data.length + 4 + 4))
    t.pass('every byte came')
  })
}

t.test('a peer that reads is not terminated for asking much at once', async (t) => {
  const { client, conn } = await open(t, {
    onMessage (conn: WebSocketConnection, message: string) { conn.send(message.padEnd(100_000)) }
  })
  client.write(Buffer.concat(Array.from({ length: 500 }, (_, i) => textFrame(String(i)))))
  let received = 0
  client.socket.removeAllListeners('data')
  client.socket.on('data', ({ length }: Buffer) => { received += length })
  await eventually(() => received >= 500 * 100_010)
  t.equal(conn.readyState, conn.OPEN)
})

t.test('what waits in the server is handled when the slow peer has gone', async (t) => {
  const seen: string[] = []
  const { client, close } = await open(t, {
    onMessage (conn: WebSocketConnection, message: string) {
      seen.push(message)
      conn.send(Buffer.alloc(8 * MEBIBYTE))
    }
  })
  client.socket.pause()
  client.write(Buffer.concat([textFrame('a'), textFrame('b'), textFrame('c'), closeFrame(1000)]))
  await eventually(() => seen.length === 1)
  client.socket.destroy()
  await close
  t.same(seen, ['a', 'b', 'c'])
})

// ---- the order of what is sent ------------------------------------------------------------------------------------------

t.test('frames leave in the order of the calls, whoever makes them', async (t) => {
  const { client, conn } = await open(t, { maxBufferedAmount: 1e9 })
  const called: number[] = []
  const all = deferred()
  const note = (i: number) => (): void => { if (called.push(i) === 4) all.resolve() }
  conn.send('small', note(0))
  conn.send(Buffer.alloc(5000, 'l'), note(1))
  conn.send('part ', { fin: false })
  conn.ping('between')
  conn.send('of ', { fin: false })
  conn.send('one')
  conn.sendMessage({ after: 1 })
  conn.send(Buffer.from('text'), { binary: false })
  conn.send('bytes', { binary: true })
  conn.send(new Blob(['blob']), note(2))
  conn.send('behind the blob')
  conn.send(7 as never, note(3))
  conn.send(new DataView(new ArrayBuffer(2)))
  await all.promise
  t.same((await client.untilFrames(13)).map(({ first, payload }) => [first, payload.toString().slice(0, 20)]), [
    [0x81, 'small'], [0x82, 'l'.repeat(20)], [0x01, 'part '], [0x89, 'between'], [0x00, 'of '], [0x80, 'one'], [0x81, '{"after":1}'],
    [0x81, 'text'], [0x82, 'bytes'], [0x82, 'blob'], [0x81, 'behind the blob'], [0x81, '7'], [0x82, '\0\0']
  ])
  t.same(called, [0, 1, 2, 3])
})

t.test('every length of a message arrives as it was', async (t) => {
  const { port } = await startApp(t, (app) => { app.websocketRoute('/', { onMessage (conn, message) { conn.send(message) } }) })
  for (const options of [{}, { perMessageDeflate: false }]) {
    const { socket } = await connect(t, `ws://127.0.0.1:${port}/`, [], options)
    for (const size of [0, 1, 125, 126, 127, 4095, 4096, 4097, 65_535, 65_536, 70_000]) {
      for (const message of ['x'.repeat(size), '€'.repeat(Math.ceil(size / 3)), Buffer.alloc(size, 0xff)]) {
        socket.send(message)
        const [data, isBinary] = await once(socket, 'message') as [Buffer, boolean]
        t.ok(data.equals(Buffer.from(message as string)) && isBinary === Buffer.isBuffer(message), `${size} bytes`)
      }
    }
  }
})

t.test('send throws for what cannot be sent, and has sent nothing', async (t) => {
  const { client, conn } = await open(t)
  for (const data of [{}, true, Symbol('s')]) t.throws(() => conn.send(data as never), TypeError)
  conn.send('fine')
  t.equal((await client.untilFrames(1))[0]?.payload.toString(), 'fine')
})
