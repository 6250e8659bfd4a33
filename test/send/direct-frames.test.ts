// With frames of our own turned off everything goes by the documented send() of ws, and arrives as before: the other tests of
// this room hold for that too, all but those of what leaves together.
import t from 'tap'
import { Outgoing } from '../../lib/send/outgoing.ts'
import { SharedDeflate } from '../../lib/send/shared-deflate.ts'
import { directFrames } from '../../lib/seams/direct-frames.ts'
import { DEFLATE_SHARED, openConnection } from '../support/open-connection.ts'

t.setTimeout(240_000)

directFrames.areUsed = false

t.test('each frame is one that ws has written', async (t) => {
  for (const headers of [{}, DEFLATE_SHARED]) {
    const { app, client, conn } = await openConnection(t, {}, headers)
    const compressed = t.capture(SharedDeflate.prototype, 'compress', SharedDeflate.prototype.compress)
    const { socket } = conn.request.raw
    const written: number[] = []
    const { write } = socket
    t.teardown(() => { socket.write = write })
    socket.write = ((...args: Parameters<typeof write>) => {
      written.push(args[0].length)
      return Reflect.apply(write, socket, args)
    }) as typeof write
    conn.send('four')
    app.websockets.broadcast('seven..')
    await client.untilFrames(2)
    if (headers !== DEFLATE_SHARED) t.same(written, [2, 4, 2, 7], 'headers and payloads')
    app.websockets.broadcast('x'.repeat(2_000))
    t.equal((await client.untilFrames(3))[2]?.first, headers === DEFLATE_SHARED ? 0xc1 : 0x81)
    t.same(compressed(), [])
  }
})

t.test('a single connection can have it', async (t) => {
  const { client, conn } = await openConnection(t)
  const owner = { connection: conn, route: { options: { highWaterMark: 1e6, maxBufferedAmount: 1e6, cork: true }, url: '/', stats: { sent: { messages: 0, bytes: 0 } } }, handleFirstSend () {}, setCongested () {}, handleSlowConsumer () {}, fail () {} }
  const outgoing = (mayFrame: boolean): Outgoing => new Outgoing(owner, conn.request.raw.socket, null, mayFrame)
  const [byWs, framed] = [outgoing(false), outgoing(true)]
  byWs.send('1', undefined, undefined)
  t.equal(byWs.size, 0)
  framed.send('2', undefined, undefined)
  t.equal(framed.size, 3)
  t.same((await client.untilFrames(2)).map(({ payload }) => payload.toString()), ['1', '2'])
})

for (const file of ['backpressure', 'callbacks', 'payloads', 'fragments']) await import(`./${file}.test.ts`)
