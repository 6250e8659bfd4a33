// What is sent arrives in order whether frames go past ws or by it; test/seams/patched-ws.test.ts runs this with a ws that rules the first out.
import t from 'tap'
import { directFrames } from '../../lib/seams/direct-frames.ts'
import { startApp } from '../support/app.ts'
import { openRaw } from '../support/raw.ts'

t.test('sends, publishes and broadcasts in the order of the calls, and says so where it takes longer', async (t) => {
  const { app, port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onConnection (conn) {
        conn.subscribe('all')
        conn.send('1')
        app.websockets.publish('all', '2')
        conn.sendMessage('3')
        app.websockets.broadcast('4')
        conn.ping('5')
        conn.send('6')
      }
    })
  })
  const client = await openRaw(t, port)
  t.same((await client.untilFrames(6)).map(({ payload }) => String(payload)), ['1', '2', '3', '4', '5', '6'])
  const isPatched = process.env.PATCHED_WS !== undefined
  t.equal(directFrames.areUsed, !isPatched)
  t.equal(logs.filter(({ msg }) => /does not write its frames at once/.test(String(msg))).length, isPatched ? 1 : 0)
  t.equal(app.websockets.size, 1)
})
