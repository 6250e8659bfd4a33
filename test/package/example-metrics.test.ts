// The metrics of examples/metrics, as a Prometheus server gets them. Needs the build.
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { closed, connect, connectRefused, nextMessage } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { handshake, RawClient } from '../support/raw.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

interface Example { createServer (): Promise<FastifyInstance> }

async function start (t: Test): Promise<{ app: FastifyInstance, port: number }> {
  // By a name that TypeScript does not follow: the example is JavaScript and uses the package as it is built.
  const { createServer } = await import(join(root, 'examples/metrics/server.js')) as Example
  const app = await createServer()
  t.teardown(() => app.close())
  app.websocketRoute('/hangs', { onHandshake: async () => { await new Promise(() => {}) } })
  app.websocketRoute('/rejects', { onHandshake (conn) { conn.reject({ code: 401 }) } })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, port: (app.server.address() as AddressInfo).port }
}

/** What is served, by name and labels. */
async function scrape (port: number): Promise<Record<string, number>> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`)
  if (response.headers.get('content-type')?.startsWith('text/plain') !== true) throw new Error('not the text format')
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
}

t.test('counts what happens', async (t) => {
  const { app, port } = await start(t)
  const ws = `ws://127.0.0.1:${port}`
  t.match(await scrape(port), { websocket_connections: 0, websocket_handshakes_pending: 0, 'websocket_handshakes_total{status="101"}': 0 })

  const { socket } = await connect(t, `${ws}/echo`)
  socket.send('hello')
  await nextMessage(socket)
  const other = (await connect(t, `${ws}/echo`)).socket
  for (let i = 0; i < 2; i++) await connectRefused(t, `${ws}/rejects`)
  await connectRefused(t, `${ws}/echo`, [], { headers: { origin: 'https://evil.example' } })
  for (let i = 0; i < 2; i++) {
    const client = await RawClient.connect(t, port)
    client.write(handshake('/hangs'))
    await eventually(() => app.websockets.stats.pending === 1)
    if (i === 0) client.socket.destroy()
    await eventually(() => app.websockets.stats.aborted === 1)
  }
  const code = closed(other)
  other.close(4000)
  await code
  await eventually(() => app.websockets.size === 1)
  for (let i = 0; i < 2; i++) { // the second answer is as the first
    const metrics = await scrape(port)
    t.match(metrics, {
      websocket_connections: 1,
      websocket_handshakes_pending: 1,
      'websocket_handshakes_total{status="101"}': 2,
      'websocket_handshakes_total{status="401"}': 2,
      'websocket_handshakes_total{status="403"}': 1,
      'websocket_handshakes_total{status="aborted"}': 1,
      'websocket_closes_total{code="4000"}': 1,
      'websocket_messages_total{direction="received"}': 1,
      'websocket_messages_total{direction="sent"}': 1,
      'websocket_message_bytes_total{direction="received"}': 5,
      'websocket_message_bytes_total{direction="sent"}': 5,
      'websocket_handshake_duration_seconds_count{route="/echo"}': 3,
      'websocket_handshake_duration_seconds_count{route="/rejects"}': 2,
      'websocket_handshake_duration_seconds_count{route="/hangs"}': 1,
      'websocket_connection_duration_seconds_count{route="/echo"}': 1
    })
    t.ok((metrics['websocket_connection_duration_seconds_sum{route="/echo"}'] ?? 0) > 0)
  }
})

t.test('serves the metrics of the docs, and the docs plot no others', async (t) => {
  const { port } = await start(t)
  await connect(t, `ws://127.0.0.1:${port}/echo`)
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const served = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name ?? ''} ${type ?? ''}`)
  const docs = readFileSync(join(root, 'docs/operations.md'), 'utf8')
  const listed = [...docs.matchAll(/^\| `(websocket_\w+)(?:\{\w+\})?` \| (\w+) \|/gm)].map(([, name, type]) => `${name ?? ''} ${type ?? ''}`)
  t.same(served.sort(), listed.sort())
  t.equal(listed.length, 8)
  const names = listed.map((line) => line.split(' ')[0])
  const plotted = [...docs.matchAll(/(websocket_\w+?)(?:_bucket)?[{[)]/g)].map(([, name]) => name)
  t.ok(plotted.length >= 6)
  for (const name of plotted) t.ok(names.includes(name), String(name))
})
