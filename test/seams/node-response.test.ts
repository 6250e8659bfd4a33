// What lib/seams/node-response.ts takes for granted of Node's ServerResponse.
import { ServerResponse } from 'node:http'
import t from 'tap'
import { canMakeResponses } from '../../lib/seams/node-response.ts'

t.test('a ServerResponse made by hand writes to the socket that assignSocket() gives it, until detachSocket() takes it away, and no second one gets it meanwhile', async (t) => {
  t.equal(canMakeResponses(), true)
})

t.test('it is found out when that is not so any more', async (t) => {
  const { prototype } = ServerResponse
  const { assignSocket, detachSocket, writeHead } = prototype
  const changes: Record<string, () => void> = {
    'assignSocket() always throws': () => { prototype.assignSocket = () => { throw new Error('gone') } },
    'assignSocket() never throws': () => {
      prototype.assignSocket = function (socket) { Object.defineProperty(this, 'socket', { configurable: true, writable: true, value: socket }) }
    },
    'there is no detachSocket()': () => { Reflect.deleteProperty(prototype, 'detachSocket') },
    'detachSocket() does nothing': () => { prototype.detachSocket = () => {} },
    'nothing is written': () => { prototype.writeHead = function () { return this } },
    'the constructor throws': () => {}
  }
  for (const [name, change] of Object.entries(changes)) {
    const isBroken = name === 'the constructor throws'
    class Broken { constructor () { throw new Error('gone') } }
    const http = await import('node:http')
    const fresh = await t.mockImport<typeof import('../../lib/seams/node-response.ts')>('../../lib/seams/node-response.ts', {
      'node:http': { ...http, ServerResponse: isBroken ? Broken : ServerResponse }
    })
    change()
    t.equal(fresh.canMakeResponses(), false, name)
    Object.assign(prototype, { assignSocket, detachSocket, writeHead })
    t.equal(fresh.canMakeResponses(), false, 'it is tried once')
  }
})
