// What a connection costs that is opened and closed: node docs/upstream/ws-end-once.bench.js <folder of ws> [<folder of another ws>]
// Both take turns in processes of their own; the CPU time is that of the server's process alone.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const CONNECTIONS = 20_000
const ROUNDS = 5
const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n'
const CLOSE = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]) // masked, code 1000

if (process.send === undefined) await compare(process.argv.slice(2))
else serve(process.argv[2])

function serve (folder) {
  const { WebSocketServer } = createRequire(import.meta.url)(resolve(folder))
  const server = createServer()
  const sockets = new WebSocketServer({ server, clientTracking: false })
  sockets.on('connection', () => {})
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
  process.on('message', () => process.send({ cpu: process.cpuUsage() }))
}

async function compare (folders) {
  const servers = await Promise.all(folders.map(start))
  for (const server of servers) await measure(server) // warm-up
  const times = folders.map(() => [])
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, server] of servers.entries()) times[i].push(await measure(server))
  }
  for (const [i, folder] of folders.entries()) console.log(`${folder}: ${median(times[i]).toFixed(1)} µs of CPU a connection`)
  for (const { child } of servers) child.kill()
}

async function start (folder) {
  const child = fork(fileURLToPath(import.meta.url), [folder])
  const [{ port }] = await once(child, 'message')
  return { child, port }
}

async function measure ({ child, port }) {
  const before = await cpuOf(child)
  await Promise.all(Array.from({ length: 16 }, async () => {
    for (let i = 0; i < CONNECTIONS / 16; i++) await openAndClose(port)
  }))
  return (await cpuOf(child) - before) / CONNECTIONS
}

async function cpuOf (child) {
  child.send('cpu')
  const [{ cpu }] = await once(child, 'message')
  return cpu.user + cpu.system
}

function openAndClose (port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(REQUEST))
    socket.once('data', () => socket.write(CLOSE))
    socket.on('end', () => socket.end())
    socket.on('error', reject)
    socket.on('close', () => resolve())
    socket.resume()
  })
}

function median (numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]
}
