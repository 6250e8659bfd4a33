// bufferedAmount is what ws would say, and the frames of this turn, which ws would have given to the system.
import { once } from 'node:events'
import t from 'tap'
import type { WebSocketConnection } from '../../index.ts'
import { openConnection } from '../support/open-connection.ts'
import { closeFrame } from '../support/raw.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

t.test('it is 0 in the handshake, and when nothing waits', async (t) => {
  const amounts: number[] = []
  const { conn } = await openConnection(t, {
    onHandshake (conn: WebSocketConnection) {
      amounts.push(conn.bufferedAmount)
      conn.on('open', () => amounts.push(conn.bufferedAmount))
    }
  })
  amounts.push(conn.bufferedAmount)
  t.same(amounts, [0, 0, 0])
})

t.test('it counts the frames of the turn until its end', async (t) => {
  const { client, conn } = await openConnection(t)
  conn.send('x'.repeat(100))
  conn.send('é')
  conn.sendMessage(Buffer.alloc(200))
  t.equal(conn.bufferedAmount, (2 + 100) + (2 + 2) + (4 + 200))
  conn.send('', () => {})
  t.equal(conn.bufferedAmount, 310 + 2)
  await turn()
  t.equal(conn.bufferedAmount, 0)
  await client.untilFrames(4)
})

t.test('it counts what the system does not take', async (t) => {
  const { client, conn } = await openConnection(t, { maxBufferedAmount: 1e9 })
  const { socket } = conn.request.raw
  client.socket.pause()
  while (socket.writableLength === 0) conn.send(Buffer.alloc(1_000_000))
  t.equal(conn.bufferedAmount, socket.writableLength)
  conn.send('x'.repeat(100))
  t.equal(conn.bufferedAmount, socket.writableLength)
})

t.test('what is sent to a connection that is closing is counted and not sent, as in ws', async (t) => {
  const { client, conn } = await openConnection(t)
  conn.send('before')
  const gone = once(conn, 'close')
  conn.close()
  await turn()
  t.equal(conn.bufferedAmount, 0)
  conn.send('12345')
  conn.sendMessage('67890')
  conn.ping('abc')
  t.equal(conn.bufferedAmount, 13)
  client.write(closeFrame(1000))
  await gone
  conn.send('12345')
  t.equal(conn.bufferedAmount, 18)
})

t.test('it is 0 again when the socket is gone, also with frames of the turn and messages that wait', async (t) => {
  const { app, conn } = await openConnection(t)
  conn.send('a', { fin: false })
  app.websockets.broadcast('waits')
  const gone = once(conn, 'close')
  conn.request.raw.socket.destroy()
  t.equal(conn.bufferedAmount, 5)
  await gone
  t.equal(conn.bufferedAmount, 0)

  const other = await openConnection(t)
  const otherGone = once(other.conn, 'close')
  other.conn.send('a')
  other.conn.request.raw.socket.destroy()
  other.conn.send('b')
  t.equal(other.conn.bufferedAmount, 6)
  await otherGone
  t.equal(other.conn.bufferedAmount, 0)
})
