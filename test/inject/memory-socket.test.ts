// Two ends of a connection in memory behave as those of a socket do.
import { once } from 'node:events'
import t from 'tap'
import { MemorySocket } from '../../lib/inject/memory-socket.ts'

function pair (remoteAddress = '127.0.0.1'): [server: MemorySocket, client: MemorySocket] {
  return MemorySocket.pair(remoteAddress, false)
}

async function code (socket: MemorySocket): Promise<unknown> {
  const [error] = await once(socket, 'error') as [NodeJS.ErrnoException]
  return error.code
}

t.test('what one end writes, the other one reads, and not within the call', async (t) => {
  const [server, client] = pair()
  let read = ''
  server.on('data', (chunk: Buffer) => { read += chunk.toString() })
  client.write('hello')
  client.write(' you')
  t.equal(read, '')
  client.end()
  await once(server, 'end')
  t.equal(read, 'hello you')
  t.same([client.bytesWritten, server.bytesRead, client.bytesRead, server.bytesWritten], [9, 9, 0, 0])
  server.end('bye')
  const [answer] = await once(client, 'data') as [Buffer]
  t.equal(answer.toString(), 'bye')
  client.resume()
  await Promise.all([once(server, 'close'), once(client, 'close')])
})

t.test('a write waits until the other end has room', async (t) => {
  const [server, client] = pair()
  let isWritten = false
  client.write(Buffer.alloc(client.writableHighWaterMark * 10), () => { isWritten = true })
  await new Promise((resolve) => setTimeout(resolve, 10))
  t.equal(isWritten, false)
  server.resume()
  if (client.writableNeedDrain) await once(client, 'drain')
  t.equal(isWritten, true)
  server.destroy()
  t.equal(await code(client), 'ECONNRESET')
})

t.test('an end that is destroyed resets the other one, unless it had ended before', async (t) => {
  const [server, client] = pair()
  const reset = code(client)
  server.destroy()
  t.equal(await reset, 'ECONNRESET')

  const [ended, other] = pair()
  ended.end('bye')
  ended.resume()
  await once(ended, 'finish')
  ended.destroy()
  const end = once(other, 'end')
  const [data] = await once(other, 'data') as [Buffer]
  t.equal(data.toString(), 'bye')
  await end
  other.write('too late', () => {})
  t.equal(await code(other), 'ECONNRESET')
})

t.test('both ends may be destroyed, in any order and while a write waits', async (t) => {
  const [server, client] = pair()
  client.on('error', () => {})
  const written = new Promise((resolve) => client.write(Buffer.alloc(1_000_000), resolve))
  await new Promise(setImmediate)
  client.destroy()
  server.destroy()
  await written
  await Promise.all([server, client].map(async (end) => { if (!end.closed) await once(end, 'close') }))
  t.ok(server.destroyed && client.destroyed)
})

t.test('resetAndDestroy() resets the other end, also after an end', async (t) => {
  const [server, client] = pair()
  server.end()
  client.resume()
  await once(client, 'end')
  const reset = code(client)
  t.equal(server.resetAndDestroy(), server)
  t.equal(await reset, 'ECONNRESET')
})

t.test('knows its address, and of no certificate', async (t) => {
  const [server, client] = pair('2001:db8::1')
  t.match(server, { remoteAddress: '2001:db8::1', remoteFamily: 'IPv6' })
  t.same(server.address(), { address: '127.0.0.1', port: 80, family: 'IPv4' })
  t.same(server.getPeerCertificate(), {})
  client.destroy()
  t.equal(await code(server), 'ECONNRESET')
})

t.test("emits 'timeout' when nothing has moved for so long", async (t) => {
  const alive = setInterval(() => {}, 1_000) // the sockets do not keep the process so
  t.teardown(() => clearInterval(alive))
  const [server, client] = pair()
  let count = 0
  client.setTimeout(10, () => { count++ })
  await once(client, 'timeout')
  t.equal(count, 1)
  client.setTimeout(3_600_000)
  server.setTimeout(1)
  client.write('x')
  server.resume()
  await once(server, 'timeout')
  const callback = (): void => { t.fail('was taken away') }
  client.setTimeout(3_600_000, callback)
  client.setTimeout(0, callback)
  client.emit('timeout')
  for (const end of [server, client]) end.on('error', () => {}).destroy()
})

t.test('destroySoon() destroys when all is written', async (t) => {
  const [server, client] = pair()
  server.end('all of it')
  server.destroySoon()
  const [data] = await once(client, 'data') as [Buffer]
  t.equal(data.toString(), 'all of it')
  if (!server.destroyed) await once(server, 'close')
  client.destroySoon()
  client.destroySoon()
  await once(client, 'close')
  const [other, end] = pair()
  other.end()
  await once(other, 'finish')
  other.destroySoon()
  t.ok(other.destroyed)
  end.destroy()
})

t.test('does not keep the process alive, and takes what may be set on a socket', async (t) => {
  const alive = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = alive()
  const [server, client] = pair()
  t.equal(server.unref(), server)
  t.equal(server.ref(), server)
  t.equal(alive(), before)
  t.equal(client.setNoDelay().setKeepAlive(), client)
  const reset = code(client)
  server.destroy()
  await reset
  t.equal(alive(), before)
})
