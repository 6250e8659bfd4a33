// @ts-check
// A server in a process of its own that watches its resident memory. It runs what was built: a compiler in the process would
// leave so much free memory behind that nothing else could be seen.
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import Fastify from 'fastify'
import websocket from 'fastify-websocket-route'

const CHUNK = Buffer.alloc(65_536, 'x')
// What deflate cannot make smaller.
const NOISE = Buffer.from(Array.from({ length: 65_536 }, () => Math.random() * 256))
const TOTAL = 256 * 1024 * 1024
const GARBAGE = 16 * 1024 * 1024

/**
 * @param {import('fastify-websocket-route').WebSocketConnection} conn
 * @param {Buffer} chunk
 */
async function pour (conn, chunk) {
  for (let sent = 0; sent < TOTAL && conn.readyState === conn.OPEN; sent += chunk.length) {
    // A copy, as if each were made for this peer.
    conn.send(Buffer.from(chunk))
    if (sent % (16 * chunk.length) === 0) await turn()
  }
}

/** @param {import('fastify-websocket-route').WebSocketConnection} conn */
async function pourPolitely (conn) {
  for (let sent = 0; sent < TOTAL; sent += CHUNK.length) {
    if (!conn.sendMessage(Buffer.from(CHUNK))) await conn.drained()
  }
}

const app = Fastify()
await app.register(websocket, { heartbeat: false })
const onError = () => {}
app.websocketRoute('/pour', { onConnection: async (conn) => await pour(conn, CHUNK), onError })
app.websocketRoute('/pour-politely', { onConnection: pourPolitely, onError })
app.websocketRoute('/pour-deflated', { perMessageDeflate: true, onConnection: async (conn) => await pour(conn, NOISE), onError })
app.websocketRoute('/echo', { onMessage (conn, message) { conn.send(message) }, onError })
app.websocketRoute('/listener', { onConnection (conn) { conn.on('message', (data) => conn.send(data)) }, onError })
app.websocketRoute('/count-deflated', { perMessageDeflate: true, onMessage (conn, message) { conn.send(String(message.length)) }, onError })
app.websocketRoute('/echo-deflated', { perMessageDeflate: true, onMessage (conn, message) { conn.send(message) }, onError })
app.websocketRoute('/slow-deflated', {
  perMessageDeflate: true,
  async onMessage (conn, message) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    conn.send(String(message.length))
  },
  onError
})
app.websocketRoute('/refused', { onHandshake (conn) { conn.reject({ code: 401 }) } })
app.websocketRoute('/hangs', { onHandshake: async (_conn, { signal }) => { await new Promise((resolve) => { signal.onabort = resolve }) } })
await app.listen({ port: 0, host: '127.0.0.1' })

let baseline = 0
let peak = 0
let live = 0
setInterval(() => {
  // How much garbage may pile up is for V8 to say, and each version says something else.
  if (used() - live > GARBAGE) collect()
  peak = Math.max(peak, process.memoryUsage.rss())
}, 20).unref()

function used () {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function collect () {
  globalThis.gc?.()
  live = used()
}

process.on('uncaughtException', (error) => process.send?.({ uncaught: String(error) }))
process.on('message', async (message) => {
  if (message === 'reset') {
    collect()
    peak = baseline = process.memoryUsage.rss()
    process.send?.({ baseline })
  } else if (message === 'heap') {
    while (app.websockets.size + app.websockets.stats.pending > 0) await delay(10)
    // What is freed by one collection may let go of more.
    for (let i = 0; i < 5; i++) {
      await delay(20)
      collect()
    }
    process.send?.({ heap: process.memoryUsage().heapUsed })
  } else {
    process.send?.({ grown: Math.max(peak, process.memoryUsage.rss()) - baseline })
  }
})
process.on('disconnect', () => process.exit())
process.send?.({ port: app.addresses()[0]?.port })
