import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { lingeringClose } from '../../lib/upgrade/lingering-close.ts'

t.test('reads what the peer still sends, so that it gets all that was written', async (t) => {
  const size = 600_000
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => client.destroy())
  const [socket] = await once(server, 'connection') as [Socket]
  socket.on('error', () => {})
  client.pause()
  client.write(Buffer.alloc(1_000_000))
  socket.write(Buffer.alloc(size))
  const closed = once(socket, 'close')
  lingeringClose(socket)
  await closed
  let received = 0
  client.on('data', (chunk: Buffer) => { received += chunk.length })
  client.on('error', () => {})
  client.resume()
  await Promise.race([once(client, 'end'), once(client, 'close')])
  t.equal(received, size)
})
