// The configuration of examples/nginx in a real nginx, in front of a real server.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startApp, type TestApp } from '../support/app.ts'
import { closed, connect, connectRefused, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { eventually } from '../support/eventually.ts'
import { handshake, RawClient } from '../support/raw.ts'

const nginx = process.env.NGINX ?? '/usr/sbin/nginx'
const skip = spawnSync(nginx, ['-v']).status === 0 ? false : `nginx is not installed: no ${nginx}, and NGINX names no other`

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Replaces a part that must be there. */
function replace (text: string, part: string, by: string): string {
  if (!text.includes(part)) throw new Error(`examples/nginx/nginx.conf has no "${part}"`)
  return text.replace(part, by)
}

/** Starts nginx with the example's configuration before an application on a port; returns the port of nginx. */
async function startNginx (t: Test, appPort: number, change: (config: string) => string = (config) => config): Promise<number> {
  const port = await freePort()
  const directory = t.testdir({})
  const example = readFileSync(new URL('../../examples/nginx/nginx.conf', import.meta.url), 'utf8')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${join(directory, name)};`).join('\n')
  let config = replace(example, 'server 127.0.0.1:3000;', `server 127.0.0.1:${appPort};`)
  config = replace(config, 'listen 8080;', `listen 127.0.0.1:${port};`)
  config = replace(config, 'pid nginx.pid;', `pid ${join(directory, 'nginx.pid')};\ndaemon off;`)
  config = replace(config, 'http {', `http {\n${temporary}`)
  const file = join(directory, 'nginx.conf')
  writeFileSync(file, change(config))
  const child = spawn(nginx, ['-p', directory, '-c', file, '-e', 'stderr'], { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk) => { errors += String(chunk) })
  t.teardown(async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
  })
  while (!await fetch(`http://127.0.0.1:${port}/ready`).then(() => true, () => false)) {
    if (child.exitCode !== null) throw new Error(`nginx has ended: ${errors}`)
  }
  return port
}

async function start (t: Test): Promise<TestApp & { ws: string, http: string, host: string }> {
  const started = await startApp(t, (app) => {
    app.get('/ready', async () => 'ready')
    app.get('/who', async ({ ip, host, protocol, headers }) => ({ ip, host, protocol, connection: headers.connection ?? null }))
    app.websocketRoute('/echo', {
      onHandshake (conn, { ip, host, protocol }) { conn.acceptWith({ headers: { 'x-who': `${ip} ${host} ${protocol}`, 'set-cookie': ['a=1', 'b=2'] } }) },
      onMessage (conn, message) { conn.sendMessage(message) }
    })
    app.websocketRoute('/rejects', { onHandshake (conn) { conn.reject({ code: 401, body: { no: 'token' }, headers: { 'www-authenticate': 'Bearer' } }) } })
    app.websocketRoute('/hangs', {
      async onHandshake (_conn, { signal }) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      }
    })
    app.websocketRoute('/pours', {
      async onConnection (conn) {
        for (let i = 0; i < 128; i++) if (!conn.sendMessage(Buffer.alloc(1024 * 1024, i))) await conn.drained()
        conn.close(1000)
      }
    })
  }, { server: { trustProxy: '127.0.0.1' }, plugin: { closeTimeout: 1_000, maxBufferedAmount: 4 * 1024 * 1024 } })
  const port = await startNginx(t, started.port)
  return { ...started, host: `127.0.0.1:${port}`, ws: `ws://127.0.0.1:${port}`, http: `http://127.0.0.1:${port}` }
}

t.test('nginx with the configuration of the example', { skip }, async (t) => {
  const { app, ws, http, host } = await start(t)

  t.test('passes a handshake on, with host, address and scheme, and its 101 back', async (t) => {
    const { socket, headers } = await connect(t, `${ws}/echo`, [], { headers: { 'x-forwarded-for': '6.6.6.6', 'x-forwarded-host': 'evil.example' } })
    t.match(headers, { 'x-who': `127.0.0.1 ${host} http`, 'set-cookie': ['a=1', 'b=2'] })
    for (const message of ['hello', 'x'.repeat(500_000)]) {
      socket.send(message)
      t.equal(await nextMessage(socket), message)
    }
    const code = closed(socket)
    socket.close(4000)
    t.equal(await code, 4000)
  })

  t.test('keeps the origin the same as the host', async (t) => {
    await connect(t, `${ws}/echo`, [], { headers: { origin: `https://${host}` } })
    t.match(await connectRefused(t, `${ws}/echo`, [], { headers: { origin: 'https://evil.example' } }), { status: 403, body: /FST_ERR_WS_ORIGIN/ })
  })

  t.test('brings refusals as they are', async (t) => {
    t.match(await connectRefused(t, `${ws}/rejects`), { status: 401, body: '{"no":"token"}', headers: { 'www-authenticate': 'Bearer' } })
    t.equal((await connectRefused(t, `${ws}/none`)).status, 404)
  })

  t.test('keeps connections for plain requests', async (t) => {
    t.match(await (await fetch(`${http}/who`)).json(), { ip: '127.0.0.1', host, protocol: 'http', connection: null })
    t.equal((await fetch(`${http}/echo`)).status, 426)
  })

  t.test('tells when the client leaves during the handshake', async (t) => {
    const before = app.websockets.stats.aborted
    const client = await RawClient.connect(t, Number(host.split(':')[1]))
    client.write(handshake('/hangs'))
    await eventually(() => app.websockets.stats.pending === 1)
    client.socket.destroy()
    await eventually(() => app.websockets.stats.aborted === before + 1)
  })

  t.test('holds back for a client that does not read', async (t) => {
    const { socket } = await connect(t, `${ws}/pours`)
    const received = deferred()
    let bytes = 0
    socket.pause()
    await eventually(() => [...app.websockets.values({ route: '/pours' })].some(({ bufferedAmount }) => bufferedAmount > 65_536))
    socket.on('message', (data) => { bytes += (data as Buffer).length })
    socket.on('close', () => received.resolve())
    socket.resume()
    await received.promise
    t.equal(bytes, 128 * 1024 * 1024)
  })

  t.test('brings 1001 and 503 when the server closes', async (t) => {
    const { socket } = await connect(t, `${ws}/echo`)
    const refused = connectRefused(t, `${ws}/hangs`)
    await eventually(() => app.websockets.stats.pending === 1)
    const code = closed(socket)
    await app.close()
    t.equal(await code, 1001)
    t.match(await refused, { status: 503, headers: { 'retry-after': '5' } })
  })
})

t.test('a heartbeat keeps nginx from closing a connection that is quiet', { skip }, async (t) => {
  const { port } = await startApp(t, (app) => {
    app.get('/ready', async () => 'ready')
    app.websocketRoute('/quiet', { heartbeat: false, onConnection () {} })
    app.websocketRoute('/beats', { heartbeat: 800, onConnection () {} })
  })
  const nginxPort = await startNginx(t, port, (config) => replace(config, 'proxy_read_timeout 75s;', 'proxy_read_timeout 2s;'))
  const beats = (await connect(t, `ws://127.0.0.1:${nginxPort}/beats`)).socket
  const quiet = (await connect(t, `ws://127.0.0.1:${nginxPort}/quiet`)).socket
  t.equal(await closed(quiet), 1006)
  t.equal(beats.readyState, beats.OPEN)
})
