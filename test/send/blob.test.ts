// A Blob is a message like any other, although it takes time to read: nothing that is sent after it overtakes it.
import t from 'tap'
import type { WebSocketConnection, WebSocketRouteOptions } from '../../index.ts'
import { SharedDeflate } from '../../lib/send/shared-deflate.ts'
import { eventually } from '../support/eventually.ts'
import { DEFLATE_SHARED, openConnection } from '../support/open-connection.ts'
import type { Frame } from '../support/raw.ts'

const brief = ({ first, payload }: Frame): string => `${first.toString(16)} ${payload.toString()}`

for (const [name, schema] of Object.entries<WebSocketRouteOptions['schema']>({
  'no schema': undefined,
  'a schema for binary messages': { send: { content: { 'application/octet-stream': {} } } },
  'a schema for both': { send: { content: { 'application/json': { schema: {} }, 'application/octet-stream': {} } } }
})) {
  t.test(`sendMessage sends a Blob with ${name}, in its place`, async (t) => {
    const { app, client, conn } = await openConnection(t, { schema })
    conn.sendMessage(Buffer.from('1'))
    t.equal(conn.sendMessage(new Blob(['blob ', '2'])), true)
    conn.sendMessage(Buffer.from('3'))
    app.websockets.broadcast(Buffer.from('4'))
    conn.sendMessage(new File(['file 5'], 'name'))
    conn.ping('6')
    t.same((await client.untilFrames(6)).map(brief), ['82 1', '82 blob 2', '82 3', '82 4', '82 file 5', '89 6'])
    t.same(app.websockets.stats.sent, { messages: 5, bytes: 1 + 6 + 1 + 1 + 6 })
  })
}

t.test('where only JSON is sent a Blob is what the serializer makes of it, as a Buffer is', async (t) => {
  const { conn } = await openConnection(t, { schema: { send: { type: 'string' } } })
  t.throws(() => conn.sendMessage(new Blob(['x'])), { code: 'FST_ERR_WS_SEND_INVALID' })
})

t.test('a Blob counts for bufferedAmount and maxBufferedAmount while it is read', async (t) => {
  const { client, conn, errors } = await openConnection(t, { maxBufferedAmount: 200_000 })
  t.equal(conn.sendMessage(new Blob(['x'.repeat(150_000)])), false)
  t.equal(conn.bufferedAmount, 150_000)
  await conn.drained()
  t.equal((await client.untilFrames(1))[0]?.payload.length, 150_000)
  for (let i = 0; i < 3; i++) conn.sendMessage(new Blob(['x'.repeat(150_000)]))
  t.match(errors, [{ code: 'FST_ERR_WS_SLOW_CONSUMER', message: /: 300000 bytes wait/ }])
})

t.test('what follows when it has been read leaves in the batch of the turn again', async (t) => {
  const { client, conn } = await openConnection(t)
  for (const send of [() => conn.sendMessage(new Blob(['blob'])), () => conn.ping(new Blob(['ping']))]) {
    send()
    conn.send('behind it')
    await eventually(() => conn.bufferedAmount === 0)
    await new Promise((resolve) => conn.send('called back', resolve))
    conn.send('x')
    t.equal(conn.bufferedAmount, 3, 'a frame that waits for the end of the turn')
  }
  t.same((await client.untilFrames(8)).map(brief), ['82 blob', '81 behind it', '81 called back', '81 x', '89 ping', '81 behind it', '81 called back', '81 x'])
})

t.test('a message to many is compressed once again when a Blob before it has been sent', async (t) => {
  const compressed = t.capture(SharedDeflate.prototype, 'compress', SharedDeflate.prototype.compress)
  const { app, client, conn } = await openConnection(t, {}, DEFLATE_SHARED)
  await new Promise((resolve) => conn.send(new Blob(['x'.repeat(2_000)]), resolve))
  app.websockets.broadcast('y'.repeat(2_000))
  t.equal(compressed().length, 1)
  t.same((await client.untilFrames(2)).map(({ first }) => first.toString(16)), ['c2', 'c1'])
})

t.test('a Blob that cannot be read is an error of the connection, which closes', async (t) => {
  const { client, conn, close, errors } = await openConnection(t)
  const blob = new Blob(['x'])
  blob.arrayBuffer = async () => { throw new Error('cannot be read') }
  conn.sendMessage(blob)
  conn.sendMessage('not sent')
  await close
  t.match(errors, [{ message: 'cannot be read' }])
  await client.untilEnd()
  t.same(client.frames, [])
})

t.test('a Blob cannot go to many, whoever listens', async (t) => {
  const { app, client, conn } = await openConnection(t)
  const wrong = { code: 'FST_ERR_WS_SEND_INVALID', message: 'The message cannot be serialised: a Blob goes to one connection only, publish what its arrayBuffer() resolves to' }
  const blob = new Blob(['x'])
  const send = (conn: WebSocketConnection): void => {
    t.throws(() => app.websockets.broadcast(blob), wrong)
    t.throws(() => app.websockets.publish('tea', blob), wrong)
    t.throws(() => conn.publish('nobody', blob), wrong)
  }
  send(conn)
  conn.subscribe('tea')
  send(conn)
  app.websockets.publish('tea', await blob.arrayBuffer())
  t.same((await client.untilFrames(1)).map(brief), ['82 x'])
})
