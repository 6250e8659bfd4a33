// @ts-check
// A server in a process of its own that publishes to its clients, and says for how long it was busy with nothing else. It runs
// what was built.
import Fastify from 'fastify'
import websocket from 'fastify-websocket-route'

const app = Fastify()
await app.register(websocket, { heartbeat: false })
app.websocketRoute('/', { onConnection (conn) { conn.subscribe('all') } })
await app.listen({ port: 0, host: '127.0.0.1', backlog: 1_000 })

/** Milliseconds for which the process has run: what others do on the machine does not count. */
function runTime () {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/**
 * The longest time between two turns of the event loop until so many messages have left.
 *
 * @param {() => number} send
 * @param {number} count
 */
async function longestBlock (send, count) {
  globalThis.gc?.()
  const before = app.websockets.stats.sent.messages
  let last = runTime()
  let block = 0
  const subscribers = send()
  do {
    await new Promise((resolve) => setImmediate(resolve))
    const now = runTime()
    block = Math.max(block, now - last)
    last = now
  } while (app.websockets.stats.sent.messages - before < count)
  // The last ones leave at the end of their turn.
  await new Promise((resolve) => setImmediate(resolve))
  return { subscribers, block: Math.max(block, runTime() - last) }
}

process.on('message', async (/** @type {{ method: string, text: string, count: number }} */ { method, text, count }) => {
  const publish = () => app.websockets.publish('all', text)
  if (method === 'exit') {
    publish()
    process.exit()
  }
  process.send?.(await longestBlock(method === 'publish' ? publish : () => app.websockets.broadcast(text), count))
})
process.on('disconnect', () => process.exit())
process.send?.({ port: app.addresses()[0]?.port })
