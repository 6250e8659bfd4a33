// Libraries that take a socket of ws run over a connection as they are.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import t from 'tap'
import { buildSchema } from 'graphql'
import { createClient } from 'graphql-ws'
import { useServer } from 'graphql-ws/use/ws'
import { createDecoder, readVarUint, readVarUint8Array } from 'lib0/decoding'
import { createEncoder, length, toUint8Array, writeVarUint, writeVarUint8Array } from 'lib0/encoding'
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws'
import { applyAwarenessUpdate, Awareness, encodeAwarenessUpdate } from 'y-protocols/awareness'
import { readSyncMessage, writeSyncStep1, writeUpdate } from 'y-protocols/sync'
import { Doc } from 'yjs'
import type { WebSocketConnection } from '../../index.ts'
import { startApp } from '../support/app.ts'
import { connect } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'

t.setTimeout(240_000)

// ---- graphql-ws --------------------------------------------------------------------------------------------------------------

t.test('graphql-ws serves queries and subscriptions over a connection', async (t) => {
  const stopped = deferred()
  const rootValue = {
    hello: ({ name }: { name: string }) => `Hello ${name}`,
    count: async function * ({ to }: { to: number }) {
      try {
        for (let i = 1; i <= to; i++) {
          yield { count: i }
          await new Promise((resolve) => setImmediate(resolve))
        }
      } finally {
        stopped.resolve()
      }
    }
  }
  const schema = buildSchema('type Query { hello(name: String!): String } type Subscription { count(to: Int!): Int }')
  // The adapter for ws takes a server of ws, and of that its 'connection' event.
  const server = new WebSocketServer({ noServer: true })
  const disposable = useServer({ schema, roots: { query: rootValue, subscription: rootValue } }, server)
  t.teardown(() => disposable.dispose())
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/graphql', {
      protocols: ['graphql-transport-ws'],
      onConnection (conn, request) { server.emit('connection', conn, request.raw) }
    })
  })
  const client = createClient({ url: `ws://127.0.0.1:${port}/graphql`, webSocketImpl: WebSocket, retryAttempts: 0, lazy: false, onNonLazyError () {} })
  t.teardown(() => client.dispose())

  const results = async (query: string): Promise<unknown[]> => {
    const all: unknown[] = []
    for await (const result of client.iterate({ query })) all.push(result)
    return all
  }
  t.match(await results('{ hello(name: "Ada") }'), [{ data: { hello: 'Hello Ada' } }])
  t.match(await results('subscription { count(to: 3) }'), [1, 2, 3].map((count) => ({ data: { count } })))
  t.match(await results('{ unknown }').catch((error: unknown) => error), [{ message: /Cannot query field "unknown"/ }])
  await stopped.promise
  const endless = client.iterate({ query: 'subscription { count(to: 1000000) }' })
  t.match((await endless.next()).value, { data: { count: 1 } })
  await endless.return?.()
})

// ---- yjs, as y-websocket serves it ---------------------------------------------------------------------------------------

const SYNC = 0
const AWARENESS = 1

/** A message of the protocol of y-websocket: its kind, and what is written. */
function yMessage (kind: number, write: (encoder: ReturnType<typeof createEncoder>) => void): Uint8Array {
  const encoder = createEncoder()
  writeVarUint(encoder, kind)
  write(encoder)
  return toUint8Array(encoder)
}

/** One side of the protocol, over any socket of ws. */
function bindDoc (socket: WebSocket, doc: Doc, awareness: Awareness): void {
  socket.binaryType = 'arraybuffer'
  const send = (message: Uint8Array): void => { if (socket.readyState === WebSocket.OPEN) socket.send(message) }
  const handleUpdate = (update: Uint8Array, origin: unknown): void => {
    if (origin !== socket) send(yMessage(SYNC, (encoder) => writeUpdate(encoder, update)))
  }
  const handleAwareness = ({ added, updated, removed }: Record<'added' | 'updated' | 'removed', number[]>, origin: unknown): void => {
    if (origin !== socket) send(yMessage(AWARENESS, (encoder) => writeVarUint8Array(encoder, encodeAwarenessUpdate(awareness, [...added, ...updated, ...removed]))))
  }
  doc.on('update', handleUpdate)
  awareness.on('update', handleAwareness)
  socket.on('message', (data) => {
    const decoder = createDecoder(new Uint8Array(data as ArrayBuffer))
    if (readVarUint(decoder) === AWARENESS) {
      applyAwarenessUpdate(awareness, readVarUint8Array(decoder), socket)
      return
    }
    const encoder = createEncoder()
    writeVarUint(encoder, SYNC)
    readSyncMessage(decoder, encoder, doc, socket)
    if (length(encoder) > 1) send(toUint8Array(encoder))
  })
  socket.on('close', () => {
    doc.off('update', handleUpdate)
    awareness.off('update', handleAwareness)
  })
  send(yMessage(SYNC, (encoder) => writeSyncStep1(encoder, doc)))
}

t.test('yjs synchronises documents over connections', async (t) => {
  const shared = new Doc()
  const awareness = new Awareness(shared)
  t.teardown(() => awareness.destroy())
  shared.getText('note').insert(0, 'Dear ')
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/note', { onConnection (conn) { bindDoc(conn, shared, awareness) } })
  })
  const people = await Promise.all(['ada', 'grace'].map(async (name) => {
    const doc = new Doc()
    const own = new Awareness(doc)
    t.teardown(() => own.destroy())
    const socket = new WebSocket(`ws://127.0.0.1:${port}/note`)
    t.teardown(() => socket.terminate())
    // Before it is open, so that nothing that the server sends first is missed.
    socket.on('open', () => bindDoc(socket, doc, own))
    await once(socket, 'open')
    return { name, doc, own, text: doc.getText('note') }
  }))
  const [ada, grace] = people as [typeof people[0], typeof people[0]]
  await eventually(() => people.every(({ text }) => String(text) === 'Dear '))
  ada.text.insert(ada.text.length, 'Grace')
  await eventually(() => String(grace.text) === 'Dear Grace')
  grace.doc.transact(() => { for (let i = 0; i < 100; i++) grace.text.insert(grace.text.length, '!') })
  await eventually(() => String(ada.text) === `Dear Grace${'!'.repeat(100)}`)
  ada.own.setLocalState({ name: 'ada' })
  await eventually(() => grace.own.getStates().get(ada.doc.clientID)?.name === 'ada')
  t.equal(String(shared.getText('note')), `Dear Grace${'!'.repeat(100)}`)
})

// ---- streams ---------------------------------------------------------------------------------------------------------------

t.test('createWebSocketStream pipes an echo of 8 MiB, as fast as both sides go', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onConnection (conn: WebSocketConnection) {
        const stream = createWebSocketStream(conn)
        stream.on('error', () => {})
        stream.pipe(stream)
      }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  const stream = createWebSocketStream(socket)
  const data = randomBytes(8 * 1024 * 1024)
  const received: Buffer[] = []
  stream.on('data', (chunk: Buffer) => received.push(chunk))
  for (let i = 0; i < data.length; i += 100_000) {
    if (!stream.write(data.subarray(i, i + 100_000))) await once(stream, 'drain')
  }
  await eventually(() => received.reduce((sum, { length }) => sum + length, 0) === data.length)
  t.ok(Buffer.concat(received).equals(data))
  stream.end()
  await once(socket, 'close')
})
