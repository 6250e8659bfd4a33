// A process that is told to end: whoever is connected is told, and the process ends. Needs the build.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { connect } from '../support/client.ts'
import { field, handshake, RawClient } from '../support/raw.ts'

t.test('SIGTERM with 1000 open connections, 55 pending handshakes and a running request', async (t) => {
  const child = fork(fileURLToPath(new URL('../support/sigterm-server.js', import.meta.url)), { env: {}, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  t.teardown(() => child.kill('SIGKILL'))
  let errors = ''
  child.stderr?.on('data', (chunk) => { errors += String(chunk) })
  const [{ port }] = await once(child, 'message') as [{ port: number }]

  const closes: Array<Promise<unknown[]>> = []
  while (closes.length < 1000) {
    const batch = await Promise.all(Array.from({ length: 50 }, async () => await connect(t, `ws://127.0.0.1:${port}/`)))
    closes.push(...batch.map(async ({ socket }) => await once(socket, 'close')))
  }
  const pending = await Promise.all(Array.from({ length: 55 }, async () => {
    const client = await RawClient.connect(t, port)
    client.socket.on('end', () => client.socket.end())
    client.write(handshake('/pending'))
    return client
  }))
  const running = await RawClient.connect(t, port)
  running.write('GET /running HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const stats = async (): Promise<{ open: number, pending: number }> => await (await fetch(`http://127.0.0.1:${port}/stats`, { headers: { connection: 'close' } })).json() as { open: number, pending: number }
  let now = await stats()
  while (now.pending < 55) now = await stats()
  t.match(now, { open: 1000, pending: 55 })

  const exit = once(child, 'exit')
  const start = performance.now()
  child.kill('SIGTERM')
  const ends = await Promise.all(closes)
  t.comment(`1000 connections closed after ${Math.round(performance.now() - start)} ms`)
  t.same([...new Set(ends.map(([code, reason]) => `${String(code)} ${String(reason)}`))], ['1001 The server is closing'])
  const answers = await Promise.all(pending.map(async (client) => await client.wholeResponse()))
  t.same([...new Set(answers.map((answer) => `${answer.status} ${field(answer, 'connection') ?? ''} ${field(answer, 'retry-after') ?? ''}`))], ['503 close 5'])
  t.match(await running.wholeResponse(), { status: 200, body: 'done' })
  t.same(await exit, [0, null])
  t.comment(`exit after ${Math.round(performance.now() - start)} ms`)
  t.equal(errors, '')
})
