// The callbacks of send(), ping() and pong() are callbacks like any other: what they throw or reject with reaches onError, on
// whatever way they are called, and they run on behalf of who has sent.
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { WebSocketConnection } from '../../index.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { DEFLATE, DEFLATE_SHARED, openConnection } from '../support/open-connection.ts'
import { closeFrame, type RawClient } from '../support/raw.ts'

t.setTimeout(240_000)

type Callback = (error?: Error | null) => void
type Send = (conn: WebSocketConnection, callback: Callback) => unknown

async function congest (conn: WebSocketConnection, client: RawClient): Promise<void> {
  client.socket.pause()
  const data = Buffer.alloc(60_000)
  while (conn.sendMessage(data)) await new Promise((resolve) => setImmediate(resolve))
}

interface Way { send: Send, headers?: Record<string, string>, before?: (conn: WebSocketConnection, client: RawClient) => unknown, options?: object }

const closed = async (conn: WebSocketConnection, client: RawClient): Promise<void> => {
  const gone = once(conn, 'close')
  client.write(closeFrame(1000))
  await gone
}
const ways: Record<string, Way> = {
  'a small message': { send: (conn, callback) => conn.send('x', callback) },
  'a large message': { send: (conn, callback) => conn.send(Buffer.alloc(100_000), {}, callback) },
  'a fragment': { send: (conn, callback) => conn.send('x', { fin: false }, callback) },
  'a Blob': { send: (conn, callback) => conn.send(new Blob(['x']), callback) },
  'a small message behind a Blob': { before: (conn) => conn.send(new Blob(['x'])), send: (conn, callback) => conn.send('x', callback) },
  'a Blob that cannot be read': { send: (conn, callback) => conn.send(unreadableBlob(), callback) },
  'a message that is compressed': { send: (conn, callback) => conn.send('x'.repeat(2_000), callback), headers: DEFLATE },
  'a message that is compressed without context': { send: (conn, callback) => conn.send('x'.repeat(2_000), callback), headers: DEFLATE_SHARED },
  'a ping': { send: (conn, callback) => conn.ping('x', false, callback) },
  'a ping without data': { send: (conn, callback) => conn.ping(callback) },
  'a pong': { send: (conn, callback) => conn.pong('x', undefined, callback) },
  'a pong without a mask': { send: (conn, callback) => conn.pong('x', callback as never) },
  'a message to a congested peer': {
    before: congest,
    send: (conn, callback) => {
      conn.send('x', callback)
      conn.terminate()
    }
  },
  'a message to a slow consumer': { options: { maxBufferedAmount: 70_000 }, before: congest, send: (conn, callback) => { for (let i = 0; i < 2; i++) conn.send(Buffer.alloc(90_000)); conn.send('x', callback) } },
  'a message to a connection that is closing': { before: (conn) => conn.close(), send: (conn, callback) => conn.send('x', callback) },
  'a ping to a connection that is closing': { before: (conn) => conn.close(), send: (conn, callback) => conn.ping('x', false, callback) },
  'a message to a connection that has closed': { before: closed, send: (conn, callback) => conn.send('x', callback) },
  'a message whose socket is destroyed': { send: (conn, callback) => { conn.send('x', callback); conn.terminate() } }
}

function unreadableBlob (): Blob {
  const blob = new Blob(['x'])
  blob.arrayBuffer = async () => { throw new Error('cannot be read') }
  return blob
}

function start (t: Test, { headers, options }: Way) {
  return openConnection(t, { closeTimeout: 50, ...options }, headers)
}

for (const [name, way] of Object.entries(ways)) {
  for (const [kind, fail] of [['throws', (error: Error) => { throw error }], ['rejects', async (error: Error) => { await null; throw error }]] as const) {
    t.test(`the callback of ${name} ${kind}, and onError is told`, async (t) => {
      const { client, conn, errors } = await start(t, way)
      await way.before?.(conn, client)
      const broken = new Error('broken')
      way.send(conn, () => fail(broken) as never)
      await eventually(() => (errors as unknown[]).includes(broken))
      t.equal(errors.filter((error) => error === broken).length, 1)
    })
  }

  t.test(`the callback of ${name} runs on behalf of who sends`, async (t) => {
    const storage = new AsyncLocalStorage<string>()
    const { client, conn } = await start(t, way)
    await way.before?.(conn, client)
    const stores = await Promise.all(['a', 'b'].map(async (store) => {
      const called = deferred<string | undefined>()
      storage.run(store, () => way.send(conn, () => called.resolve(storage.getStore())))
      return await called.promise
    }))
    t.same(stores, ['a', 'b'])
  })
}

t.test('without an onError a callback that throws closes the connection with 1011', async (t) => {
  const { client, conn, logs } = await openConnection(t, { onError: undefined })
  conn.send('x', () => { throw new Error('broken') })
  t.same(await client.untilClose(), { code: 1011, reason: '' })
  t.match(logs.filter(({ level }) => level >= 50), [{ msg: 'WebSocket error', err: { message: 'broken' } }])
})

t.test('what a callback is given says whether the message has left', async (t) => {
  const { client, conn } = await openConnection(t)
  const calls: unknown[] = []
  const note = (error?: Error | null): void => { calls.push(error == null ? 'sent' : error.message) }
  conn.send('1', note)
  conn.send(Buffer.alloc(10_000), note)
  await client.untilFrames(2)
  await eventually(() => calls.length === 2)
  conn.close()
  conn.send('3', note)
  conn.ping('4', false, note)
  await eventually(() => calls.length === 4)
  const notOpen = 'WebSocket is not open: readyState 2 (CLOSING)'
  t.same(calls, ['sent', 'sent', notOpen, notOpen])
})

t.test('a callback that is none is refused before anything is sent, and none may be left out in any way', async (t) => {
  const { client, conn } = await openConnection(t)
  const wrong = { code: 'FST_ERR_WS_ARGUMENT', message: /^conn\.(send|ping|pong)\(\) takes a function as its callback, got (\{\}|true|'utf8')$/ }
  for (const callback of [{}, true, 'utf8'] as never[]) {
    t.throws(() => conn.send('x', {}, callback), wrong)
    t.throws(() => conn.send(Buffer.alloc(10_000), {}, callback), wrong)
    t.throws(() => conn.ping('x', false, callback), wrong)
    t.throws(() => conn.pong('x', false, callback), wrong)
  }
  for (const [i, callback] of [undefined, null, false].entries()) conn.send(String(i), {}, callback as never)
  t.same((await client.untilFrames(3)).map(({ payload }) => payload.toString()), ['0', '1', '2'])
})
