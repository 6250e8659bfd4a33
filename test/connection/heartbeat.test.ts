// Pings of both sides.
import { createHook } from 'node:async_hooks'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { ConnectionClose, WebSocketConnection } from '../../index.ts'
import { Heartbeat, type Peer } from '../../lib/connection/heartbeat.ts'
import { Liveness } from '../../lib/connection/liveness.ts'
import { startApp, type Teardown } from '../support/app.ts'
import { connect, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, maskedFrame, openRaw, type RawClient, textFrame } from '../support/raw.ts'

t.setTimeout(240_000)

const INTERVAL = 200

// Where a peer is to stay. Client and server share a process, and on a busy machine an answer that waits in the kernel comes too late.
const LONG = 1_500

async function open (t: Teardown, options: object = {}): Promise<{ client: RawClient, conn: WebSocketConnection, close: Promise<ConnectionClose>, port: number }> {
  const connection = deferred<WebSocketConnection>()
  const close = deferred<ConnectionClose>()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      heartbeat: INTERVAL, onConnection (conn) { connection.resolve(conn) }, onClose (_conn, result) { close.resolve(result) }, ...options
    })
  })
  return { client: await openRaw(t, port), conn: await connection.promise, close: close.promise, port }
}

const PING = 0x89
const isPing = ({ first }: { first: number }): boolean => first === PING

/** Does something for each ping, until there were so many. */
async function forEachPing (client: RawClient, count: number, callback: (payload: Buffer) => void): Promise<void> {
  for (let i = 0; i < count; i++) {
    await client.until(() => client.frames.filter(isPing).length > i)
    callback(client.frames.filter(isPing)[i]?.payload ?? Buffer.alloc(0))
  }
}

t.test('a connection that closes is not pinged any more', async (t) => {
  const { client, conn, port } = await open(t, { heartbeat: LONG, closeTimeout: 60_000 })
  conn.close(1000)
  const other = await openRaw(t, port)
  await forEachPing(other, 2, (payload) => other.write(maskedFrame(0x8a, payload)))
  t.equal(conn.readyState, conn.CLOSING)
  t.same(client.frames.map(({ first }) => first), [0x88])
  client.write(closeFrame(1000))
})

t.test('a peer that is there', { jobs: 8 }, async (t) => {
  void t.test('a peer that answers stays, and its latency is known', async (t) => {
    const { client, conn } = await open(t, { heartbeat: LONG })
    t.equal(conn.latency, undefined)
    await forEachPing(client, 3, (payload) => client.write(maskedFrame(0x8a, payload)))
    await eventually(() => conn.latency !== undefined)
    t.ok((conn.latency ?? -1) >= 0 && (conn.latency ?? 1e9) < 10_000)
    t.equal(conn.readyState, conn.OPEN)
  })

  void t.test('any traffic counts as life', async (t) => {
    await Promise.all([textFrame('x'), maskedFrame(0x8a, Buffer.from('unasked')), Buffer.from([0x01])].map(async (bytes) => {
      const { client, conn } = await open(t, { heartbeat: LONG })
      let sent = 0
      // The last one sends a frame byte by byte, which takes longer than any interval.
      await forEachPing(client, 4, () => client.write(bytes.length === 1 ? maskedFrame(0x82, Buffer.alloc(50)).subarray(sent++, sent) : bytes))
      t.equal(conn.readyState, conn.OPEN)
      t.equal(conn.latency, undefined)
    }))
  })

  void t.test('heartbeat: false sends no ping', async (t) => {
    const other = deferred<WebSocketConnection>()
    const { port } = await startApp(t, (app) => {
      app.websocketRoute('/off', { heartbeat: false, onConnection (conn) { other.resolve(conn) } })
      app.websocketRoute('/on', { heartbeat: LONG, onConnection () {} })
    })
    const silent = await openRaw(t, port, '/off')
    const client = await openRaw(t, port, '/on')
    await forEachPing(client, 3, (payload) => client.write(maskedFrame(0x8a, payload)))
    t.equal(silent.frames.length, 0)
    t.equal((await other.promise).readyState, 1)
  })

  void t.test('a connection that is not read is pinged, and not held to be silent', async (t) => {
    const { client, conn } = await open(t, { heartbeat: LONG })
    conn.pause()
    await forEachPing(client, 4, () => {})
    t.equal(conn.readyState, conn.OPEN)
    t.equal(conn.latency, undefined)
    client.write(closeFrame(1000))
    conn.resume()
    t.equal((await client.untilClose()).code, 1000)
  })

  void t.test('a peer that has been slow for a while stays', async (t) => {
    const { client, conn } = await open(t, { heartbeat: LONG })
    const answer = async (count: number): Promise<void> => await forEachPing(client, count, (payload) => client.write(maskedFrame(0x8a, payload)))
    await answer(1)
    client.socket.pause()
    while (conn.sendMessage(Buffer.alloc(60_000)));
    client.socket.resume()
    await conn.drained()
    await answer(3)
    t.equal(conn.readyState, conn.OPEN)
  })

  void t.test('a pong of another ping is no round trip', async (t) => {
    const { client, conn } = await open(t, { heartbeat: LONG })
    await forEachPing(client, 4, () => client.write(maskedFrame(0x8a, Buffer.from('liarliar'))))
    t.equal(conn.latency, undefined)
  })

  void t.test('a client of ws answers the heartbeat by itself', async (t) => {
    const { conn, port } = await open(t, { heartbeat: LONG, onMessage (conn: WebSocketConnection, message: string) { conn.send(message) } })
    t.ok(conn)
    const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
    for (let i = 0; i < 3; i++) await once(socket, 'ping')
    socket.send('still here')
    t.equal(await nextMessage(socket), 'still here')
  })
})

t.test('a peer that is silent for a second interval is terminated', async (t) => {
  const { client, close } = await open(t)
  t.same(await close, { code: 1006, reason: '', initiator: 'network' })
  await client.untilEnd()
  t.equal(client.frames.filter(isPing).length, 1)
})

t.test('a peer that has stopped to read is terminated, and nobody waits for it for ever', async (t) => {
  const { client, conn, close } = await open(t)
  client.socket.pause()
  while (conn.sendMessage(Buffer.alloc(60_000))) await new Promise((resolve) => setImmediate(resolve))
  await t.rejects(conn.drained(), { code: 'FST_ERR_WS_CLOSED', closeCode: 1006 })
  t.match(await close, { initiator: 'network' })
})

t.test('a slow peer has a socket time-out as long as it is congested, and no longer', async (t) => {
  const timeouts: number[] = []
  const owner = { isDeaf: true, isCongested: true, pings: 0, sendPing () { this.pings++ }, handleLoss () { t.fail('it is there') } }
  const pulse = new Liveness(owner, { bytesRead: 0, setTimeout (timeout: number) { timeouts.push(timeout) } } as unknown as Socket, 0)
  pulse.beat(30)
  pulse.beat(30)
  t.same([timeouts, owner.pings], [[30], 0], 'it is set once, and a ping would only wait')
  pulse.relieve()
  pulse.relieve()
  t.same(timeouts, [30, 0])
  owner.isCongested = owner.isDeaf = false
  pulse.beat(30)
  t.equal(owner.pings, 1)
})

t.test('pings of the application and of a liar do not count as a round trip', async (t) => {
  const { client, conn } = await open(t, { heartbeat: 60_000 })
  conn.ping('12345678')
  const pong = once(conn, 'pong')
  await forEachPing(client, 1, (payload) => client.write(maskedFrame(0x8a, payload)))
  await pong
  t.equal(conn.latency, undefined)
})

// ---- pings of the peer -------------------------------------------------------------------------------------------------

t.test('a ping is answered with its payload, once', async (t) => {
  const { client, conn } = await open(t, { heartbeat: false })
  const payloads: string[] = []
  conn.on('ping', (data) => payloads.push(String(data)))
  for (const text of ['a', '', 'x'.repeat(125)]) {
    const count = client.frames.length
    client.write(maskedFrame(PING, Buffer.from(text)))
    t.same((await client.untilFrames(count + 1)).at(-1), { first: 0x8a, payload: Buffer.from(text) })
  }
  t.same(payloads, ['a', '', 'x'.repeat(125)])
})

t.test('every ping of a burst is answered, in order, while the peer takes the answers', async (t) => {
  const { client } = await open(t, { heartbeat: false, onMessage (conn: WebSocketConnection, message: string) { conn.send(message) } })
  const texts = Array.from({ length: 1200 }, (_, i) => String(i))
  client.write(Buffer.concat([...texts.map((text) => maskedFrame(PING, Buffer.from(text))), textFrame('x')]))
  await client.until(() => client.frames.some(({ first }) => first === 0x81))
  t.same(client.frames.filter(({ first }) => first === 0x8a).map(({ payload }) => payload.toString()), texts)
})

t.test('of the pings that come while more than highWaterMark waits to be sent, the last is answered for all', async (t) => {
  const { client, conn } = await open(t, { heartbeat: false, highWaterMark: 1_000_000 })
  client.socket.pause()
  conn.on('ping', (data) => { if (String(data) === 'first') while (conn.sendMessage(Buffer.alloc(60_000))); })
  client.write(Buffer.concat(['first', 'second', 'third', 'last'].map((text) => maskedFrame(PING, Buffer.from(text)))))
  await eventually(() => conn.bufferedAmount > 1_000_000)
  client.socket.resume()
  await client.until(() => client.frames.some(({ first, payload }) => first === 0x8a && payload.toString() === 'last'))
  t.same(client.frames.filter(({ first }) => first === 0x8a).map(({ payload }) => payload.toString()), ['first', 'last'])
})

t.test('a peer that is silent is terminated while onConnection or onMessage is pending', async (t) => {
  for (const options of [{ onConnection: () => new Promise(() => {}) }, { onMessage: () => new Promise(() => {}) }]) {
    const closed = deferred<ConnectionClose>()
    const { port } = await startApp(t, (app) => {
      app.websocketRoute('/', { heartbeat: 30, closeTimeout: 20, ...options, onClose (_conn, close) { closed.resolve(close) } })
    })
    const client = await openRaw(t, port)
    client.write(textFrame('x'))
    t.match(await closed.promise, { code: 1006, initiator: 'network' })
  }
})

t.test('no pong is sent after a close frame', async (t) => {
  const { client, conn } = await open(t, { heartbeat: false })
  conn.on('message', () => conn.close(1000))
  client.write(Buffer.concat([textFrame('x'), maskedFrame(PING, Buffer.from('late')), closeFrame(1000)]))
  await client.untilEnd()
  t.same(client.frames.map(({ first }) => first), [0x88])
})

t.test('conn.ping() and conn.pong() take what those of ws take', async (t) => {
  const { client, conn } = await open(t, { heartbeat: false })
  const called = deferred()
  let count = 0
  const callback = (): void => { if (++count === 6) called.resolve() }
  conn.ping(callback as never)
  conn.ping('a', callback as never)
  conn.ping('b', false, callback)
  conn.pong(callback as never)
  conn.pong('c', callback as never)
  conn.pong(Buffer.from('d'), false, callback)
  conn.ping()
  await called.promise
  t.same((await client.untilFrames(7)).map(({ first, payload }) => [first, payload.toString()]), [
    [0x89, ''], [0x89, 'a'], [0x89, 'b'], [0x8a, ''], [0x8a, 'c'], [0x8a, 'd'], [0x89, '']
  ])
  t.throws(() => conn.ping('x'.repeat(126)), { code: 'FST_ERR_WS_CONTROL_SIZE' })
})

// ---- the timer -----------------------------------------------------------------------------------------------------------

t.test('one timer serves all, and lets the process end', async (t) => {
  const timers: NodeJS.Timeout[] = []
  let isNoting = true
  const hook = createHook({ init (_id, type, _trigger, resource) { if (type === 'Timeout' && isNoting) timers.push(resource as NodeJS.Timeout) } }).enable()
  t.teardown(() => hook.disable())
  const stayAlive = (): NodeJS.Timeout => {
    isNoting = false
    const timer = setTimeout(() => {}, 60_000)
    isNoting = true
    return timer
  }

  const heartbeat = new Heartbeat()
  const beats: number[] = []
  const done = deferred()
  const peers = Array.from({ length: 1200 }, (): Peer => ({
    lanePlace: 0,
    dueAt: 0,
    beat (interval) {
      beats.push(interval)
      if (beats.length === 1300) done.resolve()
    }
  }))
  for (const peer of peers) heartbeat.add(peer, 40)
  t.equal(timers.length, 1)
  t.equal(timers[0]?.hasRef(), false)
  const soon: Peer = { lanePlace: 0, dueAt: 0, beat (interval) { beats.push(interval); heartbeat.delete(soon, 5) } }
  heartbeat.add(soon, 5)
  t.equal(timers.length, 2, 'a shorter interval comes sooner')
  const keepAlive = stayAlive()
  await done.promise
  clearTimeout(keepAlive)
  t.equal(beats[0], 5)
  t.ok(beats.slice(1).every((interval) => interval === 40))
  for (const peer of peers) heartbeat.delete(peer, 40)
  heartbeat.delete({ lanePlace: 0, dueAt: 0, beat () {} }, 40)
  t.ok(timers.length < 20, `${timers.length} timers for ${beats.length} beats`)
  const last = deferred()
  const only: Peer = { lanePlace: 0, dueAt: 0, beat () { heartbeat.delete(only, 5); last.resolve() } }
  heartbeat.add(only, 5)
  t.equal(timers.at(-1)?.hasRef(), false, 'it starts again')
  const keepAliveAgain = stayAlive()
  await last.promise
  clearTimeout(keepAliveAgain)
  const count = timers.length
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(timers.length, count, 'and rests when nobody is there')
})

t.test('who leaves twice takes nobody along', async (t) => {
  const heartbeat = new Heartbeat()
  const done = deferred<boolean>()
  const left: Peer = { lanePlace: 0, dueAt: 0, beat () {} }
  const stays: Peer = { lanePlace: 0, dueAt: 0, beat () { heartbeat.delete(stays, 5); done.resolve(true) } }
  heartbeat.add(left, 5)
  heartbeat.delete(left, 5)
  heartbeat.add(stays, 5)
  heartbeat.delete(left, 5)
  const keepAlive = setTimeout(() => done.resolve(false), 10_000)
  t.equal(await done.promise, true, 'it has its beat')
  clearTimeout(keepAlive)
})

t.test('a heartbeat does not keep the process alive', async (t) => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../support/idle-server.js', import.meta.url))], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const [[code], output] = await Promise.all([once(child, 'exit'), child.stdout.toArray()])
  t.equal(code, 0)
  t.equal(Buffer.concat(output).toString(), 'open\n', 'there was a connection')
})
