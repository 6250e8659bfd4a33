// What lib/seams/node-server-emit.ts takes for granted of Node and of Fastify. What happens where it is not so:
// test/upgrade/attachment.test.ts.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { handshake, RawClient } from '../support/raw.ts'

t.test('Node tells of an upgrade by server.emit()', async (t) => {
  const server = createServer()
  t.teardown(() => server.close())
  server.on('upgrade', () => { t.fail('emitted') })
  const claimed = new Promise<unknown[]>((resolve) => {
    const { emit } = server
    server.emit = (event: string, ...args: unknown[]) => {
      if (event !== 'upgrade') return Reflect.apply(emit, server, [event, ...args])
      resolve(args)
      return true
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = await RawClient.connect(t, (server.address() as AddressInfo).port)
  client.write(handshake('/path'))
  t.match(await claimed, [{ url: '/path' }, { remotePort: client.socket.localPort }, Buffer])
})

t.test("Fastify's second server for localhost passes its upgrades on to emit() of the first one", async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const { emit } = app.server
  const urls: string[] = []
  app.server.emit = (event: string, ...args: unknown[]) => {
    if (event !== 'upgrade') return Reflect.apply(emit, app.server, [event, ...args])
    const [request, socket] = args as [{ url: string }, { end (): void }]
    urls.push(request.url)
    socket.end()
    return true
  }
  app.server.on('upgrade', () => { t.fail('emitted') })
  await app.listen({ port: 0, host: 'localhost' })
  const addresses = app.addresses() as AddressInfo[]
  for (const { address, port } of addresses) {
    const socket = connect({ host: address, port })
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    const client = new RawClient(socket)
    client.write(handshake('/path'))
    await client.untilEnd()
  }
  t.same(urls, addresses.map(() => '/path'))
})
