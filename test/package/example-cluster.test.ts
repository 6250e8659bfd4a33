// The chat of examples/chat in three processes with a real Redis between them, which dies and comes back; and so does one of
// the three. Needs the build.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { WebSocket } from 'ws'
import type { EmitterStats } from '../../index.ts'
import { connect } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { RedisServer, withoutRedis } from '../support/redis.ts'

t.setTimeout(120_000)

const program = fileURLToPath(new URL('../../examples/chat/server.js', import.meta.url))
const COUNT = 100

interface Server { child: ChildProcess, host: string, name: string }
interface Client { socket: WebSocket, server: Server, seen: string[] }

async function startServer (t: Test, name: string, REDIS_URL: string): Promise<Server> {
  const child = spawn(process.execPath, [program], { env: { ...process.env, PORT: '0', REDIS_URL }, stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => child.kill('SIGKILL'))
  const [line] = await once(child.stdout, 'data') as [Buffer]
  return { child, name, host: /^The chat is at http:\/\/(\S+)\n$/.exec(String(line))?.[1] ?? '' }
}

async function stateOf ({ host }: Server): Promise<EmitterStats> {
  const { emitter } = await (await fetch(`http://${host}/health`)).json() as { emitter: EmitterStats }
  return emitter
}

async function untilAll (servers: readonly Server[], isSo: (stats: EmitterStats) => boolean): Promise<void> {
  for (const server of servers) {
    while (!isSo(await stateOf(server))) await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const isUp = ({ state, pending }: EmitterStats): boolean => state === 'up' && pending === 0

/** Logs in on one server, and joins on another. */
async function join (t: Test, server: Server, loginAt: Server): Promise<Client> {
  const { headers } = await fetch(`http://${loginAt.host}/login`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: server.name })
  })
  const cookie = headers.get('set-cookie')?.split(';')[0] ?? ''
  const { socket } = await connect(t, `ws://${server.host}/rooms/lobby`, ['chat.v2'], { headers: { cookie } })
  const seen: string[] = []
  socket.on('message', (data) => {
    const { from, text } = JSON.parse(String(data as Buffer)) as { from: string, text: string }
    seen.push(`${from} ${text}`)
  })
  return { socket, server, seen }
}

const expected = (phase: string, name: string): string[] => Array.from({ length: COUNT }, (_, i) => `${name} ${phase} ${i}`)
const of = (seen: readonly string[], phase: string, name: string): string[] => seen.filter((text) => text.startsWith(`${name} ${phase} `))

/** Each speaks in turn, some in each turn of the event loop. */
async function speak (speakers: readonly Client[], phase: string): Promise<void> {
  for (let i = 0; i < COUNT; i++) {
    for (const { socket } of speakers) socket.send(JSON.stringify({ text: `${phase} ${i}` }))
    if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

async function untilHeard (clients: readonly Client[], phase: string, names: readonly string[]): Promise<void> {
  await eventually(() => clients.every(({ seen }) => names.every((name) => of(seen, phase, name).length >= COUNT)))
}

t.test('three processes are one chat', { skip: withoutRedis }, async (t) => {
  const redis = new RedisServer(t)
  await redis.start()
  const names = ['one', 'two', 'three']
  const servers = await Promise.all(names.map(async (name) => await startServer(t, name, redis.path)))
  const [first, second, third] = servers as [Server, Server, Server]
  const clients: Client[] = []
  for (const [i, server] of servers.entries()) {
    for (let n = 0; n < 3; n++) clients.push(await join(t, server, servers[(i + n) % 3] as Server))
  }
  const speakers = names.map((name) => clients.find(({ server }) => server.name === name) as Client)
  await untilAll(servers, isUp)

  await speak(speakers, 'before')
  await untilHeard(clients, 'before', names)

  await redis.kill()
  await untilAll(servers, ({ state }) => state === 'down')
  await speak(speakers, 'without')
  for (const server of servers) await untilHeard(clients.filter((client) => client.server === server), 'without', [server.name])

  await redis.start()
  await untilAll(servers, isUp)
  await speak(speakers, 'again')
  await untilHeard(clients, 'again', names)

  const left = once((clients.at(-1) as Client).socket, 'close')
  const speaking = speak(speakers.slice(0, 2), 'killing')
  third.child.kill('SIGKILL')
  await speaking
  const survivors = clients.filter(({ server }) => server !== third)
  await untilHeard(survivors, 'killing', ['one', 'two'])
  await left

  const fourth = await startServer(t, 'four', redis.path)
  const newcomer = await join(t, fourth, first)
  await untilAll([first, second, fourth], isUp)
  const everybody = [...survivors, newcomer]
  await speak([...speakers.slice(0, 2), newcomer], 'after')
  await untilHeard(everybody, 'after', ['one', 'two', 'four'])

  for (const { seen, server: { name } } of everybody) {
    const isNew = name === 'four'
    for (const [phase, speakerNames] of Object.entries({ before: names, again: names, killing: ['one', 'two'] })) {
      for (const speaker of speakerNames) t.same(of(seen, phase, speaker), isNew ? [] : expected(phase, speaker), `${phase}: ${speaker} to ${name}`)
    }
    for (const speaker of names) t.same(of(seen, 'without', speaker), speaker === name ? expected('without', speaker) : [], `without: ${speaker} to ${name}`)
    for (const speaker of ['one', 'two', 'four']) t.same(of(seen, 'after', speaker), expected('after', speaker), `after: ${speaker} to ${name}`)
    t.equal(new Set(seen).size, seen.length, 'nothing came twice')
  }
  // What the clients of the killed one have heard they have heard in order, too.
  for (const { seen } of clients.filter(({ server }) => server === third)) {
    t.equal(new Set(seen).size, seen.length)
    for (const name of ['one', 'two']) t.same(of(seen, 'killing', name), expected('killing', name).slice(0, of(seen, 'killing', name).length))
    for (const name of names) t.same(of(seen, 'again', name), expected('again', name))
  }

  // With Redis and without, each stops when it is told to.
  first.child.kill('SIGTERM')
  t.same(await once(first.child, 'exit'), [0, null])
  await redis.kill()
  await untilAll([second], ({ state }) => state === 'down')
  second.child.kill('SIGTERM')
  t.same(await once(second.child, 'exit'), [0, null])
})
