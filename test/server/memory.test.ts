// What hostile peers cost the process: real resident memory, in a process of its own.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { deflateRawSync, constants } from 'node:zlib'
import t from 'tap'
import { WebSocket } from 'ws'
import { connect, nextMessage } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, frameHeader, handshake, maskedFrame, RawClient, textFrame } from '../support/raw.ts'
import type { Teardown } from '../support/app.ts'

t.setTimeout(240_000)

// Each has a server of its own, and half of the time is spent on waiting for it.
t.jobs = 2

const MEBIBYTE = 1024 * 1024
const LIMIT = 64

interface Message { port?: number, baseline?: number, grown?: number, heap?: number, uncaught?: string }

class MemoryServer {
  readonly #child: ChildProcess
  readonly port: number

  private constructor (child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  static async start (t: Teardown, flags: string[] = []): Promise<MemoryServer> {
    const child = fork(fileURLToPath(new URL('../support/memory-server.js', import.meta.url)), { execArgv: ['--expose-gc', '--max-semi-space-size=1', ...flags], env: {} })
    t.teardown(() => child.kill('SIGKILL'))
    const [{ port = 0 }] = await once(child, 'message') as [Message]
    return new MemoryServer(child, port)
  }

  async reset (): Promise<void> {
    await this.#ask('reset')
  }

  /** By how many MiB the process has grown at most since the reset. */
  async grown (): Promise<number> {
    const { grown = Infinity } = await this.#ask('peak')
    return Math.round(grown / MEBIBYTE)
  }

  /** KiB of the heap that are still in use after garbage collection, when nobody is connected any more. */
  async heap (): Promise<number> {
    const { heap = Infinity } = await this.#ask('heap')
    return heap / 1024
  }

  async #ask (question: string): Promise<Message> {
    this.#child.send(question)
    const [answer] = await once(this.#child, 'message') as [Message]
    if (answer.uncaught !== undefined) throw new Error(`uncaught in the server: ${answer.uncaught}`)
    return answer
  }
}

/** A peer without memory of its own: it keeps nothing of what it gets. */
async function openPeer (t: Teardown, port: number, path: string, headers: Record<string, string> = {}): Promise<RawClient> {
  const client = await RawClient.connect(t, port)
  client.write(handshake(path, headers))
  await client.head()
  client.socket.removeAllListeners('data')
  return client
}

const DEFLATE = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_no_context_takeover' }

/** A message of RFC 7692 section 7.2.1. */
function deflatedFrame (payload: Buffer): Buffer {
  const deflated = deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH })
  return maskedFrame(0xc2, deflated.subarray(0, -4))
}

/** Sends the same bytes over and over, no faster than they are taken. */
async function flood (client: RawClient, bytes: Buffer, times: number): Promise<void> {
  for (let i = 0; i < times && !client.socket.destroyed; i++) {
    if (!client.socket.write(bytes)) await Promise.race([once(client.socket, 'drain'), once(client.socket, 'close')])
  }
}

/** Sends one more message, and waits until it comes back, behind all that was sent before, or the connection is gone. */
async function untilServed ({ socket }: RawClient): Promise<void> {
  const last = 'the end'
  let tail = ''
  socket.on('data', (chunk: Buffer) => { tail = (tail + chunk.toString('latin1')).slice(-last.length) })
  socket.write(textFrame(last))
  await eventually(() => tail === last || socket.destroyed || socket.readableEnded)
}

/** How many round trips another client makes as long as something goes on: a slow machine takes longer for both. */
async function roundTrips (t: Teardown, port: number, goesOn: Promise<unknown>): Promise<number> {
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/echo`)
  const state = { isOver: false }
  void goesOn.finally(() => { state.isOver = true })
  let count = 0
  while (!state.isOver) {
    socket.send('x')
    await nextMessage(socket)
    count++
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return count
}

for (const path of ['/pour', '/pour-politely', '/pour-deflated']) {
  for (const count of [1, 20]) {
    t.test(`${count} peers that stop reading while 256 MiB is sent to each by ${path}`, async (t) => {
      const server = await MemoryServer.start(t)
      await server.reset()
      const peers = await Promise.all(Array.from({ length: count }, () => openPeer(t, server.port, path, path.endsWith('deflated') ? DEFLATE : {})))
      for (const { socket } of peers) socket.pause()
      await roundTrips(t, server.port, new Promise((resolve) => setTimeout(resolve, 1000)))
      const grown = await server.grown()
      t.comment(`${grown} MiB`)
      // Of each peer up to maxBufferedAmount, 4 MiB, may wait.
      t.ok(grown < LIMIT + 4 * count, `${grown} MiB`)
    })
  }
}

for (const path of ['/echo', '/listener', '/echo-deflated']) {
  t.test(`a peer that sends 128 MiB to ${path} and never reads`, async (t) => {
    const server = await MemoryServer.start(t)
    await server.reset()
    const peer = await openPeer(t, server.port, path, path.endsWith('deflated') ? DEFLATE : {})
    peer.socket.pause()
    const message = Buffer.from(Array.from({ length: 65_536 }, () => Math.random() * 256))
    const frame = path.endsWith('deflated') ? deflatedFrame(message) : maskedFrame(0x82, message)
    let sent = 0
    for (; sent < 128 * MEBIBYTE && peer.socket.writableLength < MEBIBYTE; sent += frame.length) {
      peer.write(frame)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await roundTrips(t, server.port, new Promise((resolve) => setTimeout(resolve, 300)))
    const grown = await server.grown()
    t.comment(`${grown} MiB, ${Math.round(sent / MEBIBYTE)} MiB sent`)
    t.ok(grown < LIMIT, `${grown} MiB`)
    t.ok(sent < 64 * MEBIBYTE, 'TCP holds it back')
  })
}

const repeated = (frame: Buffer): Buffer[] => Array.from({ length: 9_999 }, () => frame)
const FLOODS: Record<string, Buffer[]> = {
  pings: repeated(maskedFrame(0x89, Buffer.alloc(0))),
  fragments: [maskedFrame(0x01, Buffer.from('x')), ...repeated(maskedFrame(0x00, Buffer.from('x')))],
  'empty messages': repeated(maskedFrame(0x81, Buffer.alloc(0)))
}
for (const [name, frames] of Object.entries(FLOODS)) {
  t.test(`a flood of half a million ${name}`, async (t) => {
    const server = await MemoryServer.start(t)
    await server.reset()
    const peer = await openPeer(t, server.port, '/echo')
    peer.socket.resume()
    const trips = await roundTrips(t, server.port, flood(peer, Buffer.concat(frames), 50).then(() => untilServed(peer)))
    const grown = await server.grown()
    t.comment(`${grown} MiB, ${trips} round trips`)
    t.ok(grown < LIMIT, `${grown} MiB`)
    // Who sends so many fragments is gone at once.
    t.ok(trips >= (name === 'fragments' ? 1 : 5), `another client is served ${trips} times meanwhile`)
  })
}

t.test('50 peers that each hold 16 000 fragments of one byte, and 500 that announce a frame and send nothing', async (t) => {
  const server = await MemoryServer.start(t)
  await server.reset()
  const fragments = Buffer.concat([maskedFrame(0x01, Buffer.from('x')), ...Array.from({ length: 15_999 }, () => maskedFrame(0x00, Buffer.from('x')))])
  const attack = (async () => {
    await Promise.all(Array.from({ length: 50 }, async () => { (await openPeer(t, server.port, '/echo')).write(fragments) }))
    await Promise.all(Array.from({ length: 500 }, async () => { (await openPeer(t, server.port, '/echo')).write(frameHeader(0x82, MEBIBYTE)) }))
  })()
  const trips = await roundTrips(t, server.port, attack)
  const grown = await server.grown()
  t.comment(`${grown} MiB, ${trips} round trips`)
  t.ok(grown < LIMIT * 1.5, `${grown} MiB`)
  t.ok(trips >= 5, `another client is served ${trips} times meanwhile`)
})

const BOMB = deflatedFrame(Buffer.alloc(MEBIBYTE))
for (const path of ['/count-deflated', '/slow-deflated']) {
  for (const count of [1, 50]) {
    t.test(`${count} peers that send zip bombs to ${path}`, async (t) => {
      const server = await MemoryServer.start(t)
      const times = count === 1 ? 100 : 15
      const bombs = Buffer.concat(Array.from({ length: times }, () => BOMB))
      const peers = await Promise.all(Array.from({ length: count }, async () => await openPeer(t, server.port, path, DEFLATE)))
      await server.reset()
      const attack = Promise.all(peers.map(async (peer) => {
        const before = peer.socket.bytesRead
        peer.socket.resume()
        peer.write(bombs)
        await eventually(() => peer.socket.bytesRead - before >= times * 6)
      }))
      const trips = await roundTrips(t, server.port, attack)
      const grown = await server.grown()
      t.comment(`${grown} MiB, ${trips} round trips`)
      // One peer makes 100 MiB of garbage, 50 make 750 MiB, which are collected now and then.
      t.ok(grown < LIMIT * (count === 1 ? 1 : 3), `${grown} MiB`)
      t.ok(trips >= 5, `another client is served ${trips} times meanwhile`)
    })
  }
}

// How a connection, or what should have become one, may end.
const endings: Record<string, (client: RawClient) => Promise<unknown>> = {
  async normal (client) {
    client.write(handshake('/echo'))
    await client.head()
    client.write(Buffer.concat([maskedFrame(0x81, Buffer.from('x')), closeFrame(1000)]))
    return await client.untilEnd()
  },
  async reset (client) {
    client.write(handshake('/echo'))
    await client.head()
    client.socket.resetAndDestroy()
  },
  async refused (client) {
    client.write(handshake('/refused'))
    return await client.untilEnd()
  },
  async 'reset inside the handshake' (client) {
    client.write(handshake('/hangs'))
    await new Promise(setImmediate)
    client.socket.resetAndDestroy()
  },
  async 'bad key' (client) {
    client.write(handshake('/echo', { 'Sec-WebSocket-Key': 'bad' }))
    return await client.untilEnd()
  }
}

async function churn (port: number, count: number): Promise<void> {
  for (const end of Object.values(endings)) {
    const worker = async (): Promise<void> => {
      for (let i = 0; i < count / 20; i++) {
        const cleanups: Array<() => unknown> = []
        const client = await RawClient.connect({ teardown: (cleanup) => { cleanups.push(cleanup) } }, port)
        await end(client)
        for (const cleanup of cleanups) cleanup()
      }
    }
    await Promise.all(Array.from({ length: 20 }, worker))
  }
}

t.test('800 connections that end in each way leave nothing behind', async (t) => {
  // What V8 compiles, and when, would be seen in the heap.
  const server = await MemoryServer.start(t, ['--no-opt', '--no-maglev', '--no-sparkplug', '--no-flush-bytecode'])
  const heaps: number[] = []
  for (let i = 0; i < 3; i++) {
    await churn(server.port, 800)
    heaps.push(await server.heap())
  }
  const growths = heaps.slice(1).map((heap, i) => Math.round(heap - (heaps[i] ?? 0)))
  t.comment(`${growths.join(' and ')} KiB after ${800 * Object.keys(endings).length} connections each time`)
  // What stays of connections stays every time; 80 bytes for each that ends in one of the ways would be seen.
  t.ok(Math.min(...growths) < 64, `${growths.join(' and ')} KiB`)
})

t.test('the client of ws is a peer like any other', async (t) => {
  const server = await MemoryServer.start(t)
  const { socket } = await connect(t, `ws://127.0.0.1:${server.port}/echo-deflated`, [], { perMessageDeflate: true })
  socket.send('x')
  t.equal(await nextMessage(socket), 'x')
  t.equal(socket.readyState, WebSocket.OPEN)
})
