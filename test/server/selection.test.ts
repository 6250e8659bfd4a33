// fastify.websockets.values() and close(): some of all connections, by route, topic and filter.
import t, { type Test } from 'tap'
import type { CloseOptions, ValuesOptions, WebSocketConnection, WebSocketRouteOptions } from '../../index.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { connect } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { closeFrame, openRaw } from '../support/raw.ts'

interface Started extends TestApp {
  /** Connects, and returns what there is to know of the connection, whose place in `all` is its number. */
  join (path: string): Promise<WebSocketConnection>
  /** The messages of each client, and how its connection was closed. */
  seen: string[][]
}

/** Each connection subscribes to the topics that its query names: `?topics=a,b`. */
async function start (t: Test, routes: Record<string, Partial<WebSocketRouteOptions>>): Promise<Started> {
  const started = await startApp(t, (app) => {
    for (const [path, options] of Object.entries(routes)) {
      app.websocketRoute(path, {
        onConnection (conn, { query }) {
          const { topics = '' } = query as { topics?: string }
          for (const topic of topics.split(',').filter(Boolean)) conn.subscribe(topic)
        },
        ...options
      })
    }
  })
  const seen: string[][] = []
  return {
    ...started,
    seen,
    async join (path) {
      const known = new Set(started.app.websockets)
      const { socket } = await connect(t, `ws://127.0.0.1:${started.port}${path}`)
      const own: string[] = []
      seen.push(own)
      socket.on('message', (data) => own.push(String(data as Buffer)))
      socket.on('close', (code, reason) => own.push(`${code} ${String(reason)}`))
      const [conn] = [...started.app.websockets].filter((candidate) => !known.has(candidate))
      return conn as WebSocketConnection
    }
  }
}

t.test('values() are those that route, topic and filter name, each alone and together', async (t) => {
  const { app: { websockets }, join } = await start(t, { '/a': {}, '/b': {} })
  const all = [await join('/a?topics=tea'), await join('/a'), await join('/b?topics=tea,cake'), await join('/b?topics=cake')]
  const numbers = (options?: ValuesOptions): number[] => [...websockets.values(options)].map((conn) => all.indexOf(conn))
  t.same(numbers(), [0, 1, 2, 3])
  t.same(numbers({ route: '/b' }), [2, 3])
  t.same(numbers({ topic: 'tea' }), [0, 2])
  t.same(numbers({ topic: 'jam' }), [])
  t.same(numbers({ filter: (conn) => conn !== all[1] }), [0, 2, 3])
  t.same(numbers({ route: '/b', topic: 'cake', filter: (conn) => conn !== all[3] }), [2])
  t.same(numbers({ route: undefined, topic: undefined, filter: undefined }), [0, 1, 2, 3])
  t.throws(() => websockets.values({ topic: '' }), { code: 'FST_ERR_WS_TOPIC' })
  t.throws(() => websockets.values({ topic: 1 } as object), { code: 'FST_ERR_WS_OPTION_INVALID', message: 'The option "topic" must be a string, got 1' })
  const withPromise = websockets.values({ filter: (async () => true) as unknown as () => boolean })
  t.throws(() => withPromise.next(), { code: 'FST_ERR_WS_OPTION_INVALID', message: /one that returns a promise/ })
})

t.test('the subscribers of a topic may leave it and come back while they are iterated', async (t) => {
  const { app: { websockets }, join } = await start(t, { '/': {} })
  const all = [await join('/?topics=tea'), await join('/?topics=tea'), await join('/?topics=tea')]
  const visited: number[] = []
  for (const conn of websockets.values({ topic: 'tea' })) {
    visited.push(all.indexOf(conn))
    conn.unsubscribe('tea')
    if (visited.length === 1) all[1]?.unsubscribe('tea')
    conn.subscribe('tea')
  }
  t.same(visited, [0, 2], 'once each, and none that had left')
})

t.test('broadcasts to those of a topic too', async (t) => {
  const { app: { websockets }, join, seen } = await start(t, { '/': {} })
  for (const path of ['/?topics=tea', '/', '/?topics=tea']) await join(path)
  const [first] = websockets
  t.equal(websockets.broadcast('hot', { topic: 'tea', filter: (conn) => conn !== first }), 1)
  await eventually(() => seen[2]?.length === 1)
  t.same(seen, [[], [], ['hot']])
})

t.test('close() closes all, or those of a route, a topic or a filter, and returns how many', async (t) => {
  const cases: Array<[options: CloseOptions | undefined, closed: number[], how: string]> = [
    [undefined, [0, 1, 2], '1000 '],
    [{ code: 4001, reason: 'logged out' }, [0, 1, 2], '4001 logged out'],
    [{ reason: 'bye' }, [0, 1, 2], '1000 bye'],
    [{ route: '/a' }, [0, 1], '1000 '],
    [{ topic: 'tea', code: 4000 }, [0, 2], '4000 '],
    [{ route: '/a', topic: 'tea', filter: () => true }, [0], '1000 '],
    [{ filter: ({ topics }) => topics.length === 0 }, [1], '1000 '],
    [{ topic: 'jam' }, [], '']
  ]
  for (const [options, closed, how] of cases) {
    const { app: { websockets }, join, seen } = await start(t, { '/a': {}, '/b': {} })
    for (const path of ['/a?topics=tea', '/a', '/b?topics=tea,cake']) await join(path)
    websockets.publish('tea', 'before')
    t.equal(websockets.close(options), closed.length)
    t.equal(websockets.close(options), 0, 'those that are closing do not count')
    await eventually(() => websockets.size === 3 - closed.length)
    const expected = [0, 1, 2].map((i) => [...i === 1 ? [] : ['before'], ...closed.includes(i) ? [how] : []])
    await eventually(() => JSON.stringify(seen) === JSON.stringify(expected))
    t.same(seen, expected, 'what was published before comes first')
  }
})

t.test('closes nobody if something is wrong, and asks the filter for all before', async (t) => {
  const { app: { websockets }, join } = await start(t, { '/': {} })
  const all = [await join('/'), await join('/')]
  let asked = 0
  const cases: Array<[options: object, error: object]> = [
    [{ code: 1005 }, { code: 'FST_ERR_WS_CLOSE_CODE' }],
    [{ code: '1000' }, { code: 'FST_ERR_WS_OPTION_INVALID', message: 'The option "code" must be a number, got \'1000\'' }],
    [{ reason: 'x'.repeat(124) }, { code: 'FST_ERR_WS_CLOSE_REASON' }],
    [{ reason: Buffer.from('x') }, { code: 'FST_ERR_WS_OPTION_INVALID', message: /"reason"/ }],
    [{ route: '/none' }, { code: 'FST_ERR_WS_ROUTE_UNKNOWN' }],
    [{ topic: '' }, { code: 'FST_ERR_WS_TOPIC' }],
    [{ topics: 'tea' }, { code: 'FST_ERR_WS_OPTION_UNKNOWN', message: 'Unknown option "topics": did you mean "topic"?' }],
    [{ filter: async () => true }, { code: 'FST_ERR_WS_OPTION_INVALID', message: /one that returns a promise/ }],
    [{ filter () { if (++asked === 2) throw new Error('no'); return true } }, { message: 'no' }]
  ]
  for (const [options, error] of cases) t.throws(() => websockets.close(options), error as Error, JSON.stringify(options))
  t.equal(asked, 2)
  t.same(all.map(({ readyState, OPEN }) => readyState === OPEN), [true, true])
})

t.test('a connection that a filter has closed does not count, and a filter is not asked for one that is closing', async (t) => {
  const { app: { websockets }, port } = await start(t, { '/': {} })
  const clients = [await openRaw(t, port), await openRaw(t, port), await openRaw(t, port)]
  const [first, second] = [...websockets] as [WebSocketConnection, WebSocketConnection]
  first.close(4000)
  const asked: WebSocketConnection[] = []
  t.equal(websockets.close({ code: 4001, filter (conn) { asked.push(conn); second.close(4002); return true } }), 1)
  t.same(asked.includes(first), false)
  for (const client of clients) {
    await client.untilClose()
    client.write(closeFrame(1000))
  }
  t.same(clients.map(({ frames }) => frames.at(-1)?.payload.readUInt16BE()), [4000, 4002, 4001])
})
