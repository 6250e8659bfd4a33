// A message for very many leaves in slices, and nobody can tell: neither the subscribers by what they get, nor other clients
// by how long they wait.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { connect as connectSocket, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { MessageEvent, WebSocketConnection } from '../../index.ts'
import { startApp } from '../support/app.ts'
import { type CrowdMember, openCrowd } from '../support/crowd.ts'
import { eventually } from '../support/eventually.ts'
import { handshake } from '../support/raw.ts'

t.setTimeout(240_000)

const SLICE = 50
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function start (t: Test, count: number) {
  const errors: unknown[] = []
  const hooks: { onError?: () => void } = {}
  const { app } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      highWaterMark: 1_000,
      maxBufferedAmount: 1_000,
      onConnection () {},
      onError (_conn, error) {
        errors.push((error as { code?: string }).code)
        hooks.onError?.()
      }
    })
  })
  const crowd = await openCrowd(t, app, count)
  for (const { conn } of crowd) conn.subscribe('all')
  return { websockets: app.websockets, crowd, errors, hooks, app }
}

const isComplete = (crowd: readonly CrowdMember[], count: number): boolean => crowd.every(({ texts }) => texts().length >= count)

t.test('a slice leaves at once, and the next ones in the turns that follow', async (t) => {
  const { websockets, crowd } = await start(t, 2 * SLICE + 1)
  t.equal(websockets.publish('all', 'x'), crowd.length)
  const sent = [0, websockets.stats.sent.messages]
  t.same(crowd.map(({ conn }) => conn.bufferedAmount > 0), crowd.map((_, i) => i < SLICE), 'at the end of the turn')
  while (sent.at(-1) !== crowd.length) {
    await turn()
    if (sent.at(-1) !== websockets.stats.sent.messages) sent.push(websockets.stats.sent.messages)
    t.equal(crowd.some(({ conn }) => conn.bufferedAmount > 0), false, 'not in the turn after')
  }
  const slices = sent.slice(1).map((count, i) => count - (sent[i] as number))
  t.equal(slices[0], SLICE)
  t.same(slices.filter((size) => size > SLICE), [])
  await eventually(() => isComplete(crowd, 1))
  t.equal(crowd.every(({ texts }) => texts().length === 1), true)
})

t.test('what others are sent leaves before the next slice', async (t) => {
  const { websockets, crowd, app } = await start(t, 4 * SLICE)
  const [other] = await openCrowd(t, app, 1) as [CrowdMember]
  const waiting: number[] = []
  const note = (message: unknown): void => {
    if ((message as MessageEvent).connection !== other.conn) waiting.push(other.conn.bufferedAmount)
  }
  websockets.publish('all', 'x')
  // Behind the second slice.
  await turn()
  subscribe('fastify-websocket-route.message.sent', note)
  t.teardown(() => unsubscribe('fastify-websocket-route.message.sent', note))
  other.conn.send('y')
  t.not(other.conn.bufferedAmount, 0)
  await eventually(() => isComplete(crowd, 1))
  t.not(waiting.length, 0)
  t.same([...new Set(waiting)], [0])
})

t.test('every connection gets everything in the order of the calls, whatever is sent to it meanwhile', async (t) => {
  const { websockets, crowd } = await start(t, 3 * SLICE)
  const [publisher, late, left, closed, few, own] = [crowd[3], crowd.at(-1), crowd.at(-2), crowd.at(-3), crowd.at(-4), crowd.at(-5)] as [CrowdMember, CrowdMember, CrowdMember, CrowdMember, CrowdMember, CrowdMember]
  few.conn.subscribe('few')
  publisher.conn.publish('all', '1')
  websockets.publish('all', '2')
  late.conn.send('between')
  left.conn.unsubscribe('all')
  closed.conn.close(1000)
  t.equal(websockets.publish('few', 'between'), 1)
  t.same([late, few].map(({ conn }) => conn.bufferedAmount > 0), [true, true], 'sent in this turn')
  own.conn.sendMessage('between')
  websockets.publish('all', '3')
  websockets.broadcast('4')
  left.conn.subscribe('all')
  websockets.publish('all', '5')
  await eventually(() => isComplete(crowd.filter((member) => ![publisher, left, closed].includes(member)), 5))
  await eventually(() => left.texts().length === 4 && publisher.texts().length === 4)
  await closed.client.untilClose()
  const others = crowd.filter((member) => ![publisher, late, left, closed, few, own].includes(member))
  t.same([...new Set(others.map(({ texts }) => texts().join()))], ['1,2,3,4,5'])
  t.same([late, few, own].map(({ texts }) => texts().join()), ['1,2,between,3,4,5', '1,2,between,3,4,5', '1,2,between,3,4,5'])
  t.equal(publisher.texts().join(), '2,3,4,5', 'all but its own')
  t.equal(left.texts().join(), '1,2,4,5', 'what was published while it subscribed')
  t.equal(closed.texts().join(), '1,2', 'what was published before it closed')
})

t.test('what is published in one turn leaves to most connections in one turn', async (t) => {
  const { websockets, crowd } = await start(t, 2 * SLICE)
  const turns = new Map<WebSocketConnection, Set<number>>()
  let now = 0
  const note = (message: unknown): void => {
    const { connection } = message as MessageEvent
    turns.set(connection, (turns.get(connection) ?? new Set()).add(now))
  }
  subscribe('fastify-websocket-route.message.sent', note)
  t.teardown(() => unsubscribe('fastify-websocket-route.message.sent', note))
  for (let i = 0; i < 4; i++) websockets.publish('all', String(i))
  while (websockets.stats.sent.messages < 4 * crowd.length) {
    await turn()
    now++
  }
  const counts = crowd.map(({ conn }) => turns.get(conn)?.size)
  t.same(counts.filter((count) => count !== 1 && count !== 2), [])
  t.ok(counts.filter((count) => count === 1).length >= SLICE, 'but those of the first slice')
  await eventually(() => isComplete(crowd, 4))
  t.same(new Set(crowd.map(({ texts }) => texts().join())), new Set(['0,1,2,3']))
})

t.test('who subscribes after a message does not get it, and who leaves is not waited for', async (t) => {
  const { websockets, crowd, app } = await start(t, 2 * SLICE)
  const [outsider] = await openCrowd(t, app, 1) as [CrowdMember]
  websockets.publish('all', '1')
  outsider.conn.subscribe('all')
  crowd.at(-1)?.conn.terminate()
  websockets.publish('all', '2')
  await eventually(() => isComplete(crowd.slice(0, -1), 2) && isComplete([outsider], 1))
  t.equal(outsider.texts().join(), '2')
  t.same([...new Set(crowd.slice(0, -1).map(({ texts }) => texts().join()))], ['1,2'])
})

t.test('a turn has one slice, however much is published in one', async (t) => {
  const { websockets, crowd } = await start(t, SLICE + 100)
  const before = websockets.stats.sent.messages
  for (let i = 0; i < 100; i++) websockets.publish('all', String(i))
  t.ok(websockets.stats.sent.messages - before <= SLICE)
  let most = 0
  for (let last = websockets.stats.sent.messages; websockets.stats.sent.messages - before < 100 * crowd.length; last = websockets.stats.sent.messages) {
    await turn()
    most = Math.max(most, websockets.stats.sent.messages - last)
  }
  // Four further ones to the same connection cost as much as a first one.
  t.ok(most <= 4 * SLICE + 100, `${most} at most`)
  await eventually(() => isComplete(crowd, 100))
  t.same([...new Set(crowd.map(({ texts }) => texts().join()))], [Array.from({ length: 100 }, (_, i) => i).join()])
})

t.test('many messages to a few do not make one to many leave at once', async (t) => {
  const { websockets, crowd } = await start(t, 3 * SLICE)
  const few = crowd.slice(-2)
  for (const { conn } of few) conn.subscribe('few')
  websockets.publish('all', 'large')
  for (let i = 0; i < 100; i++) websockets.publish('few', String(i))
  t.ok(websockets.stats.sent.messages <= SLICE + 2 + 2 * 100, 'a slice, what was before those for a few, and those')
  await eventually(() => isComplete(crowd, 1) && isComplete(few, 101))
  t.same(new Set(few.map(({ texts }) => texts().join())), new Set([['large', ...Array.from({ length: 100 }, (_, i) => i)].join()]))
})

t.test('what is published because a message cannot be sent comes after that message', async (t) => {
  const { websockets, crowd, errors, hooks } = await start(t, 2 * SLICE)
  const [slow] = crowd as [CrowdMember]
  slow.client.socket.pause()
  while (slow.conn.bufferedAmount <= 1_000) slow.conn.send(Buffer.alloc(100_000))
  for (const { conn } of crowd.slice(0, 10)) conn.subscribe('few')
  let published = 0
  hooks.onError = () => {
    if (published > 0) return
    for (; published < 40; published++) websockets.publish(published % 2 === 0 ? 'all' : 'few', `because ${published}`)
  }
  websockets.publish('all', 'first')
  t.same([errors, published], [['FST_ERR_WS_SLOW_CONSUMER'], 40])
  websockets.publish('all', 'last')
  const others = crowd.slice(1)
  await eventually(() => others.every(({ texts }) => texts().at(-1) === 'last'))
  const [all, few] = [new Set<string>(), new Set<string>()]
  for (const [i, { texts }] of others.entries()) (i < 9 ? few : all).add(texts().join())
  const names = Array.from({ length: 40 }, (_, i) => `because ${i}`)
  t.same([...few], [['first', ...names, 'last'].join()])
  t.same([...all], [['first', ...names.filter((_, i) => i % 2 === 0), 'last'].join()])
})

t.test('what is published while a message is on its way to one keeps its place behind it', async (t) => {
  const { websockets, crowd } = await start(t, 2 * SLICE)
  const last = crowd.at(-1) as CrowdMember
  const names = Array.from({ length: 30 }, (_, i) => `because ${i}`)
  let hasPublished = false
  const publishAll = (event: unknown): void => {
    if ((event as { connection: unknown }).connection !== last.conn || hasPublished) return
    hasPublished = true
    for (const name of names) websockets.publish('all', name)
  }
  subscribe('fastify-websocket-route.message.sent', publishAll)
  t.teardown(() => unsubscribe('fastify-websocket-route.message.sent', publishAll))
  websockets.publish('all', 'first')
  websockets.publish('all', 'second')
  last.conn.send('own')
  await eventually(() => isComplete(crowd.slice(0, -1), names.length + 2) && last.texts().length >= names.length + 3)
  const expected = ['first', 'second', ...names]
  t.same([...new Set(crowd.slice(0, -1).map(({ texts }) => texts().join()))], [expected.join()])
  t.same(last.texts().filter((text) => text !== 'own'), expected)
})

// ---- in a process of its own --------------------------------------------------------------------------------------------

async function startServer (t: Test): Promise<{ child: ChildProcess, port: number, ask: (question: object) => Promise<Record<string, number>> }> {
  const child = fork(fileURLToPath(new URL('../support/topic-server.js', import.meta.url)), { env: {}, execArgv: ['--expose-gc'] })
  t.teardown(() => child.kill('SIGKILL'))
  const [{ port }] = await once(child, 'message') as [{ port: number }]
  return {
    child,
    port,
    async ask (question) {
      child.send(question)
      return (await once(child, 'message') as [Record<string, number>])[0]
    }
  }
}

// One that counts bytes, and keeps none.
async function openSubscriber (t: Test, port: number): Promise<Socket> {
  const socket = connectSocket({ port, host: '127.0.0.1' })
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.write(handshake('/'))
  await once(socket, 'data')
  socket.resume()
  return socket
}

t.test('a message to 10 000 holds up nobody else', async (t) => {
  const { port, ask } = await startServer(t)
  const sockets: Socket[] = []
  while (sockets.length < 10_000) sockets.push(...await Promise.all(Array.from({ length: 100 }, async () => await openSubscriber(t, port))))
  let received = 0
  for (const socket of sockets) socket.on('data', ({ length }: Buffer) => { received += length })
  const expected = (2 + 100) * sockets.length
  const longest: Record<string, number[]> = { broadcast: [], publish: [] }
  for (let round = 0; round < 5; round++) {
    for (const [method, blocks] of Object.entries(longest)) {
      received = 0
      const { subscribers, block = Infinity } = await ask({ method, text: 'x'.repeat(100), count: sockets.length })
      t.equal(subscribers, 10_000)
      await eventually(() => received === expected)
      blocks.push(Math.round(block))
    }
  }
  const [inOne = 0, inSlices = Infinity] = Object.values(longest).map((blocks) => Math.min(...blocks))
  // In the round that was disturbed least.
  t.comment(`the event loop was blocked for ${longest.publish?.join(', ')} ms by publish(), for ${longest.broadcast?.join(', ')} ms by broadcast()`)
  // Whatever the machine: a small part of what one loop over all of them takes, if that is to be seen at all.
  t.ok(inSlices < Math.max(inOne / 3, 10), `${inSlices} ms, against ${inOne} ms in one`)
})

t.test('a process that exits in the middle of a fan-out has sent what it has published', async (t) => {
  const { child, port, ask } = await startServer(t)
  const sockets = await Promise.all(Array.from({ length: 600 }, async () => await openSubscriber(t, port)))
  let received = 0
  const ends = sockets.map(async (socket) => {
    socket.on('data', ({ length }: Buffer) => { received += length })
    await once(socket, 'close')
  })
  void ask({ method: 'exit', text: 'x'.repeat(100), count: sockets.length })
  await once(child, 'exit')
  await Promise.all(ends)
  t.equal(received, 102 * sockets.length)
})
