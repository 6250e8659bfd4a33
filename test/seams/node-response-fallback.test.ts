// Where no response can be made for an upgrade, it is answered by hand. In a process of its own: it is tried once.
import { once } from 'node:events'
import { createServer, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { startApp } from '../support/app.ts'
import { field, handshake, parseHead, RawClient } from '../support/raw.ts'

t.test('every upgrade gets 503, and it is said once', async (t) => {
  const { detachSocket } = ServerResponse.prototype
  t.teardown(() => { ServerResponse.prototype.detachSocket = detachSocket })
  ServerResponse.prototype.detachSocket = () => { throw new Error('gone') }
  const { app, port, logs } = await startApp(t, (app) => { app.websocketRoute('/', { onHandshake () { t.fail('ran') } }) })
  const check = async (port: number, headers = {}): Promise<void> => {
    const client = await RawClient.connect(t, port)
    client.socket.on('end', () => client.socket.end())
    client.write(handshake('/', headers))
    const response = parseHead(await client.untilEnd())
    t.match([response.status, field(response, 'connection'), field(response, 'retry-after')], [503, 'close', '5'])
  }
  for (const headers of [{}, {}, { Upgrade: 'h2c' }]) await check(port, headers)
  t.equal(logs.filter(({ level }) => level === 50).length, 1)
  t.match(app.websockets.stats, { pending: 0 })
  // A second server that still passes on its upgrades.
  const second = createServer().on('upgrade', app.server.emit.bind(app.server, 'upgrade'))
  t.teardown(() => second.close())
  await once(second.listen(0, '127.0.0.1'), 'listening')
  await app.close()
  await check((second.address() as AddressInfo).port)
})
