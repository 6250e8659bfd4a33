// What onHandshake returns.
import { once } from 'node:events'
import t from 'tap'
import type { WebSocketConnection } from '../../index.ts'
import { startApp } from '../support/app.ts'
import { closed, connect, connectRefused, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'

for (const kind of ['returns', 'resolves to'] as const) {
  t.test(`an object that onHandshake ${kind} is conn.data in all later callbacks`, async (t) => {
    const data = { user: 'Ann' }
    const seen: unknown[] = []
    const isClosed = deferred<undefined>()
    const { port } = await startApp(t, (app) => {
      app.websocketRoute('/', {
        onHandshake (conn) {
          seen.push(conn.data)
          return kind === 'returns' ? data : Promise.resolve(data)
        },
        onConnection (conn) { seen.push(conn.data) },
        onMessage (conn) {
          seen.push(conn.data)
          throw new Error('to onError')
        },
        onError (conn) {
          seen.push(conn.data)
          conn.close()
        },
        onClose (conn) {
          seen.push(conn.data)
          isClosed.resolve(undefined)
        }
      })
    })
    const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
    socket.send('x')
    await isClosed.promise
    t.equal(seen.length, 5)
    t.equal(seen[0], undefined)
    for (const each of seen.slice(1)) t.equal(each, data)
  })
}

t.test('without one it is undefined, and cannot be set', async (t) => {
  const opened = deferred<WebSocketConnection>()
  const { port } = await startApp(t, (app) => { app.websocketRoute('/', { onConnection (conn) { opened.resolve(conn) } }) })
  await connect(t, `ws://127.0.0.1:${port}/`)
  const conn = await opened.promise
  t.equal(conn.data, undefined)
  t.throws(() => { Object.assign(conn, { data: {} }) }, TypeError)
})

t.test('onConnection waits for an onHandshake that goes on after it has accepted; no message is lost meanwhile', async (t) => {
  const goOn = deferred<undefined>()
  const events: string[] = []
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      async onHandshake (conn) {
        conn.acceptWith()
        await goOn.promise
        events.push('settled')
        return { user: 'Ann' }
      },
      onConnection (conn) { events.push(`connection of ${conn.data.user}`) },
      onMessage (conn, message) {
        events.push(`message ${String(message)}`)
        conn.send('done')
      }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.send('early')
  socket.ping()
  await once(socket, 'pong')
  t.same(events, [])
  goOn.resolve(undefined)
  await nextMessage(socket)
  t.same(events, ['settled', 'connection of Ann', 'message early'])
})

t.test('onConnection is not called when the connection is over before onHandshake has settled', async (t) => {
  const goOn = deferred<undefined>()
  const isClosed = deferred<undefined>()
  const settled = deferred<undefined>()
  const calls: string[] = []
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      closeTimeout: 10,
      async onHandshake (conn) {
        conn.acceptWith()
        await goOn.promise
        settled.resolve(undefined)
      },
      onConnection () { calls.push('onConnection') },
      onClose () {
        calls.push('onClose')
        isClosed.resolve(undefined)
      }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.close()
  await closed(socket)
  await isClosed.promise
  goOn.resolve(undefined)
  await settled.promise
  await app.close()
  t.same(calls, ['onClose'])
})

t.test('the app closes while an onHandshake that has accepted never settles', async (t) => {
  const calls: string[] = []
  const { app, port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      closeTimeout: 10,
      async onHandshake (conn) {
        conn.acceptWith()
        await new Promise(() => {})
      },
      onConnection () { calls.push('onConnection') },
      onClose (_conn, { code, initiator }) { calls.push(`onClose ${code} ${initiator}`) }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  const end = closed(socket)
  await app.close()
  t.equal(await end, 1001)
  t.same(calls, ['onClose 1001 server'])
})

for (const [name, value] of [['false', false], ['true', true], ["'no'", 'no'], ['null', null]] as const) {
  for (const isAsync of [false, true]) {
    t.test(`${isAsync ? 'a promise for ' : ''}${name} is an error, and nobody is accepted`, async (t) => {
      const calls: string[] = []
      const { port } = await startApp(t, (app) => {
        app.websocketRoute('/', {
          onHandshake: (() => isAsync ? Promise.resolve(value) : value) as never,
          onConnection () { calls.push('onConnection') }
        })
      })
      const { status: statusCode, body } = await connectRefused(t, `ws://127.0.0.1:${port}/`)
      t.equal(statusCode, 500)
      t.match(JSON.parse(body), { code: 'FST_ERR_WS_HANDSHAKE_RESULT', message: `got ${name}: to refuse a handshake call conn.reject()` })
      t.same(calls, [])
    })
  }
}

t.test('after acceptWith() it is logged, and the connection is closed with 1011', async (t) => {
  const calls: string[] = []
  const { port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onHandshake: ((conn: WebSocketConnection) => {
        conn.acceptWith()
        return false
      }) as never,
      onConnection () { calls.push('onConnection') }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  t.equal(await closed(socket), 1011)
  t.same(logs.filter(({ err }) => err !== undefined).map(({ err }) => err?.code), ['FST_ERR_WS_HANDSHAKE_RESULT'])
  t.same(calls, [])
})

t.test('after reject() it changes nothing', async (t) => {
  const { port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onHandshake: ((conn: WebSocketConnection) => {
        conn.reject({ code: 401 })
        return false
      }) as never
    })
  })
  t.equal((await connectRefused(t, `ws://127.0.0.1:${port}/`)).status, 401)
  t.same(logs.filter(({ err }) => err !== undefined).map(({ err }) => err?.code), ['FST_ERR_WS_HANDSHAKE_RESULT'])
})
