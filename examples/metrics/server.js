// Metrics for Prometheus: GET /metrics. docs/operations.md has the list of them.
import { subscribe, tracingChannel } from 'node:diagnostics_channel'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import websocket from 'fastify-websocket-route'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Makes the metrics of a server. What counts anyway is read when somebody asks. */
export function createMetrics (app) {
  const registry = new Registry()
  const registers = [registry]
  const stats = () => app.websockets.stats

  const gauge = (name, help, read) => new Gauge({ name, help, registers, collect () { this.set(read(stats())) } })
  // Its counts come from elsewhere, whole: each time it starts anew.
  const counter = (name, help, label, read) => new Counter({
    name,
    help,
    labelNames: [label],
    registers,
    collect () {
      this.reset()
      for (const [value, count] of Object.entries(read(stats()))) this.inc({ [label]: value }, count)
    }
  })

  gauge('websocket_connections', 'Open connections', ({ open }) => open)
  gauge('websocket_handshakes_pending', 'Handshakes without an answer', ({ pending }) => pending)
  counter('websocket_handshakes_total', 'Answers to handshakes', 'status', ({ accepted, refused, aborted }) => ({ 101: accepted, ...refused, aborted }))
  counter('websocket_closes_total', 'Closed connections by code', 'code', ({ closed }) => closed)
  counter('websocket_messages_total', 'Messages', 'direction', ({ received, sent }) => ({ received: received.messages, sent: sent.messages }))
  counter('websocket_message_bytes_total', 'Bytes of messages', 'direction', ({ received, sent }) => ({ received: received.bytes, sent: sent.bytes }))

  const handshakeDuration = new Histogram({
    name: 'websocket_handshake_duration_seconds', help: 'From the first hook to the answer', labelNames: ['route'], registers
  })
  const connectionDuration = new Histogram({
    name: 'websocket_connection_duration_seconds',
    help: 'From the 101 to the close',
    labelNames: ['route'],
    buckets: [1, 10, 60, 600, 3_600, 36_000],
    registers
  })
  const startedAt = new WeakMap()
  tracingChannel('fastify-websocket-route.handshake').subscribe({
    start: (handshake) => startedAt.set(handshake, performance.now()),
    asyncEnd: (handshake) => handshakeDuration.observe({ route: handshake.route }, (performance.now() - startedAt.get(handshake)) / 1_000)
  })
  subscribe('fastify-websocket-route.close', ({ route, duration }) => {
    connectionDuration.observe({ route }, duration / 1_000)
  })
  return registry
}

export async function createServer (options = {}) {
  const app = Fastify(options)
  await app.register(websocket)
  const registry = createMetrics(app)
  app.get('/metrics', async (request, reply) => reply.type(registry.contentType).send(await registry.metrics()))
  app.websocketRoute('/echo', { onMessage (conn, message) { conn.sendMessage(message) } })
  return app
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const app = await createServer({ logger: true })
  await app.listen({ port: Number(process.env.PORT ?? 3000) })
}
