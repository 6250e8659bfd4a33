// Fastify aborts request.signal when the raw request emits 'close'.
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { startApp } from '../support/app.ts'
import { connectRefused } from '../support/client.ts'

t.test("request.signal is aborted by 'close' of the raw request: where it is not, the time-out is answered all the same, and one warning says so", async (t) => {
  const requests: FastifyRequest[] = []
  const { port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/', { handshakeTimeout: 30, onHandshake: async () => { await new Promise(() => {}) } })
    app.addHook('onRequest', async (request) => {
      const { raw } = request
      requests.push(request)
      if (raw.url !== '/?broken') return
      const { emit } = raw
      raw.emit = (event: string, ...args: unknown[]) => event === 'close' || Reflect.apply(emit, raw, [event, ...args])
    })
  })
  const url = `ws://127.0.0.1:${port}/`
  const warnings = (): number => logs.filter(({ level, msg }) => level === 40 && msg.startsWith('Fastify does not abort request.signal')).length
  t.equal((await connectRefused(t, url)).status, 503)
  t.same([requests[0]?.signal.aborted, warnings()], [true, 0])
  for (const index of [1, 2]) {
    t.match(await connectRefused(t, `${url}?broken`), { status: 503, body: /FST_ERR_WS_HANDSHAKE_TIMEOUT/ })
    t.same([requests[index]?.signal.aborted, warnings()], [false, 1])
  }
})
