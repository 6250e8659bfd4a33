// What is sent within one turn of the event loop leaves together, and nothing else changes: no message is lost, none
// overtakes another, and a peer is not slow because the turn is not over.
import { AsyncLocalStorage } from 'node:async_hooks'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { WebSocket, type RawData } from 'ws'
import type { WebSocketConnection } from '../../index.ts'
import { startApp, type Teardown } from '../support/app.ts'
import { connect } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { closeFrame, maskedFrame, openRaw, RawClient, handshake, textFrame, type Frame } from '../support/raw.ts'

t.setTimeout(240_000)

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

async function usedByBuffers (): Promise<number> {
  for (let i = 0; i < 3; i++) {
    gc()
    await turn()
  }
  return process.memoryUsage().arrayBuffers
}

async function open (t: Teardown, options: object = {}, plugin: object = {}) {
  const connection = deferred<WebSocketConnection>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onConnection (conn) { connection.resolve(conn) }, ...options })
  }, { plugin })
  const client = await openRaw(t, port)
  const conn = await connection.promise
  return { client, conn, port, socket: conn.request.raw.socket }
}

function brief ({ first, payload }: Frame): string {
  return `${first.toString(16)} ${payload.length > 20 ? payload.length : payload.toString()}`
}

t.test('messages wait for the end of the turn, and then leave in one write', async (t) => {
  const { client, conn, socket } = await open(t)
  const before = socket.bytesWritten
  let writes = 0
  const { write } = socket
  t.teardown(() => { socket.write = write })
  socket.write = ((...args: Parameters<typeof write>) => {
    writes++
    return Reflect.apply(write, socket, args)
  }) as typeof write
  for (let i = 0; i < 10; i++) conn.send(`message ${i}`)
  t.equal(conn.sendMessage('and one more'), true)
  await Promise.resolve()
  t.equal(writes, 0)
  t.equal(conn.bufferedAmount, 10 * 11 + 14)
  await turn()
  t.equal(writes, 1, 'frames that come one behind the other are one buffer')
  t.equal(socket.bytesWritten - before, 10 * 11 + 14)
  t.equal(conn.bufferedAmount, 0)
  t.equal((await client.untilFrames(11)).at(-1)?.payload.toString(), 'and one more')
})

for (const [where, options, plugin] of [['route', { cork: false }, {}], ['plugin', {}, { cork: false }]] as const) {
  t.test(`with cork: false on the ${where} each message leaves as it is sent`, async (t) => {
    const { client, conn, socket } = await open(t, options, plugin)
    conn.send('at once')
    t.equal(socket.writableCorked, 0)
    t.equal(conn.bufferedAmount, 0)
    // Nothing but the kernel could bring it to the client now.
    client.write(maskedFrame(0x89, Buffer.from('ping')))
    t.same((await client.untilFrames(2)).map(brief), ['81 at once', '8a ping'])
  })
}

t.test('a route takes precedence over the plugin', async (t) => {
  const { conn } = await open(t, { cork: true }, { cork: false })
  conn.send('x')
  t.equal(conn.bufferedAmount, 3)
})

t.test('the frames of two peers that are sent by turns do not mix', async (t) => {
  const [one, other] = [await open(t), await open(t)]
  const texts = Array.from({ length: 20 }, (_, i) => 'x'.repeat(i * 100) + i)
  for (const text of texts) {
    one.conn.send(`one ${text}`)
    other.conn.send(`other ${text}`)
  }
  t.same((await one.client.untilFrames(20)).map(({ payload }) => String(payload)), texts.map((text) => `one ${text}`))
  t.same((await other.client.untilFrames(20)).map(({ payload }) => String(payload)), texts.map((text) => `other ${text}`))
})

t.test('what is sent in the turn in which the peer half-closes is sent', async (t) => {
  const { client, conn, socket } = await open(t)
  socket.prependListener('end', () => { conn.send('last words') })
  client.socket.end()
  await client.untilEnd()
  t.same(client.frames.map(brief), ['81 last words'])
})

t.test('a few bytes that a slow peer does not take keep no more than themselves', async (t) => {
  const slow = await open(t)
  const quick = deferred<WebSocketConnection>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onConnection (conn) { quick.resolve(conn) } })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  const received = { count: 0 }
  socket.on('message', () => { received.count++ })
  const conn = await quick.promise
  slow.client.socket.pause()
  const data = Buffer.alloc(4000)
  while (slow.conn.bufferedAmount < 10_000) {
    slow.conn.send(data)
    await turn()
  }
  const before = await usedByBuffers()
  for (let i = 0; i < 300; i++) {
    slow.conn.send('thirty bytes, that is not many')
    for (let k = 0; k < 9; k++) conn.send(data)
    await turn()
  }
  t.ok(slow.conn.bufferedAmount < 65_536, 'it is not congested')
  while (received.count < 2700) await turn()
  const grown = await usedByBuffers() - before
  t.ok(grown < 4_194_304, `${grown} bytes`)
})

t.test('all that can be sent arrives in order', async (t) => {
  const { client, conn } = await open(t)
  const large = Buffer.alloc(100_000, 'x')
  const called: number[] = []
  conn.send('1')
  conn.ping('2')
  conn.send('3', () => { called.push(3) })
  conn.send('4', { fin: false })
  conn.pong('5')
  conn.send('6', { fin: true })
  conn.send(large, () => { called.push(7) })
  conn.send('8', () => { called.push(8) })
  conn.send(new Blob(['9']))
  conn.send('10')
  conn.sendMessage({ number: 11 })
  client.write(maskedFrame(0x89, Buffer.from('12')))
  t.same((await client.untilFrames(12)).map(brief), [
    '81 1', '89 2', '81 3', '1 4', '8a 5', '80 6', '82 100000', '81 8', '82 9', '81 10', '81 {"number":11}', '8a 12'
  ])
  t.same(called, [3, 7, 8])
})

t.test('what follows a Blob waits until that has been read, in a ping as well', async (t) => {
  const { client, conn } = await open(t)
  conn.ping(new Blob(['1']))
  conn.send('2')
  conn.sendMessage({ number: 3 })
  t.same((await client.untilFrames(3)).map(brief), ['89 1', '81 2', '81 {"number":3}'])
})

t.test('pongs and messages of one turn leave together', async (t) => {
  const states: number[] = []
  const { client } = await open(t, {
    onHandshake (conn: WebSocketConnection) {
      conn.on('ping', () => states.push(conn.request.raw.socket.writableCorked))
      conn.on('message', () => conn.send('answer'))
    }
  })
  client.write(Buffer.concat([maskedFrame(0x89, Buffer.from('a')), textFrame('x'), maskedFrame(0x89, Buffer.from('b'))]))
  t.same((await client.untilFrames(3)).map(brief).sort(), ['81 answer', '8a a', '8a b'])
  t.same(states, [1, 1])
})

t.test('a large message leaves as it is sent, and what was sent before it', async (t) => {
  const { client, conn } = await open(t)
  const large = Buffer.alloc(20_000, 'x')
  conn.send('small')
  conn.send(large)
  t.equal(conn.bufferedAmount, 0)
  large.fill('y') // ws has always let its users do so when nothing was waiting
  const [first, second] = await client.untilFrames(2)
  t.equal(first?.payload.toString(), 'small')
  t.equal(second?.payload.toString(), 'x'.repeat(20_000))
})

t.test('a buffer may be used again as soon as send has returned', async (t) => {
  const { client, conn } = await open(t)
  const buffer = Buffer.from('first')
  conn.send(buffer)
  buffer.write('other')
  conn.send(buffer)
  t.same((await client.untilFrames(2)).map(brief), ['82 first', '82 other'])
})

t.test('what waits for the end of the turn does not make a peer slow', async (t) => {
  const { client, conn } = await open(t)
  const data = Buffer.alloc(4000)
  let most = 0
  for (let i = 0; i < 200; i++) {
    t.equal(conn.sendMessage(data), true, { diagnostic: false })
    most = Math.max(most, conn.bufferedAmount)
  }
  t.ok(most <= 65_536, `${most} bytes waited at most`)
  t.ok(most > 60_000, 'they were gathered')
  await conn.drained()
  t.equal((await client.untilFrames(200)).length, 200)
})

t.test('a slow peer is noticed within the turn', async (t) => {
  const { client, conn } = await open(t)
  client.socket.pause()
  const data = Buffer.alloc(4000)
  let count = 0
  while (conn.sendMessage(data)) count++
  t.ok(conn.bufferedAmount > 65_536)
  client.socket.resume()
  await conn.drained()
  t.equal((await client.untilFrames(count + 1)).length, count + 1)
})

t.test('terminate() and close() in the same turn leave nothing behind', async (t) => {
  const { client, conn } = await open(t)
  conn.send('before the end')
  conn.terminate()
  await client.untilEnd()
  t.same(client.frames.map(brief), ['81 before the end'])

  const other = await open(t)
  other.conn.send('before the close')
  other.conn.close(1000, 'bye')
  other.conn.send('after it', (error) => { t.ok(error) })
  t.equal((await other.client.untilClose()).reason, 'bye')
  t.same(other.client.frames.map(brief).slice(0, -1), ['81 before the close'])
})

t.test('a peer that sends and ends its side in one packet gets its answers', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onMessage (conn, message) { conn.send(`echo ${message}`) } })
  })
  for (let i = 0; i < 50; i++) {
    const client = await RawClient.connect(t, port)
    client.write(handshake('/'))
    await client.head()
    client.socket.end(Buffer.concat([textFrame('1'), textFrame('2')]))
    await client.untilEnd()
    t.same(client.frames.map(brief), ['81 echo 1', '81 echo 2'], { diagnostic: false })
  }
})

t.test('a peer that sends and closes in one packet gets its answers', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onMessage (conn, message) { conn.send(`echo ${message}`) } })
  })
  const client = await openRaw(t, port)
  client.write(Buffer.concat([textFrame('1'), textFrame('2'), closeFrame(1000)]))
  await client.untilClose()
  t.same(client.frames.map(brief).slice(0, 2), ['81 echo 1', '81 echo 2'])
})

t.test('a reset within the turn is no error of anybody', async (t) => {
  const errors: unknown[] = []
  const closed = deferred<number>()
  const { client, conn, socket } = await open(t, {
    onError (_conn: unknown, error: unknown) { errors.push(error) },
    onClose (_conn: unknown, { code }: { code: number }) { closed.resolve(code) }
  })
  const failed = new Promise((resolve) => conn.send('x', resolve))
  socket.destroy()
  conn.send('y')
  t.ok(await failed, 'its callback gets the error')
  t.equal(await closed.promise, 1006)
  t.same(errors, [])
  await client.untilEnd()
})

t.test('a callback is called on behalf of who sent', async (t) => {
  const storage = new AsyncLocalStorage<string>()
  const { client, conn } = await open(t)
  const sendAs = (name: string): Promise<string | undefined> => storage.run(name, () => new Promise((resolve) => {
    conn.send(name, () => resolve(storage.getStore()))
  }))
  t.same(await Promise.all([sendAs('a'), sendAs('b')]), ['a', 'b'])
  await client.untilFrames(2)
})

t.test('a throw in the same turn keeps nothing back', async (t) => {
  const { client } = await open(t, {
    onMessage (conn: WebSocketConnection) {
      conn.send('sent')
      throw new Error('broken')
    },
    onError () {}
  })
  client.write(textFrame('x'))
  t.same((await client.untilFrames(1)).map(brief), ['81 sent'])
})

t.test('a broadcast and a send of one turn keep their order', async (t) => {
  const { port, app } = await startApp(t, (app) => { app.websocketRoute('/', { onConnection () {} }) })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  const messages: string[] = []
  const all = new Promise<void>((resolve) => socket.on('message', (data: RawData) => { if (messages.push(String(data)) === 4) resolve() }))
  const [conn] = app.websockets
  app.websockets.broadcast('1')
  conn?.send('2')
  app.websockets.broadcast('3')
  conn?.sendMessage('4')
  await all
  t.same(messages, ['1', '2', '3', '4'])
})

for (const command of ['exit', 'throw']) {
  t.test(`a process that ends by ${command} has sent what it has sent`, async (t) => {
    const child = spawn(process.execPath, [fileURLToPath(new URL('../support/exit-server.js', import.meta.url))], { stdio: ['ignore', 'pipe', 'ignore'] })
    t.teardown(() => child.kill())
    const [port] = await once(child.stdout, 'data')
    const client = await openRaw(t, Number(port))
    client.write(textFrame(command))
    await client.untilEnd()
    t.same(client.frames.map(brief), ['81 last 0', '81 last 1', '81 last 2'])
    const [code] = await once(child, 'exit')
    t.equal(code, command === 'exit' ? 0 : 1)
  })
}

t.test('ws as a client sees nothing of it', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', { onMessage (conn, message) { for (let i = 0; i < 100; i++) conn.send(`${message} ${i}`) } })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  const messages: string[] = []
  const all = new Promise<void>((resolve) => socket.on('message', (data: RawData) => { if (messages.push(String(data)) === 300) resolve() }))
  for (const name of ['a', 'b', 'c']) socket.send(name)
  await all
  t.same(messages, ['a', 'b', 'c'].flatMap((name) => Array.from({ length: 100 }, (_, i) => `${name} ${i}`)))
  t.equal(socket.readyState, WebSocket.OPEN)
})
