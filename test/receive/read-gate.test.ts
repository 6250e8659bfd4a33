// The reasons for which a connection is not read, and what is left of them when this side has closed.
import { PassThrough } from 'node:stream'
import t from 'tap'
import type { WebSocket } from 'ws'
import { PauseReason, ReadGate } from '../../lib/receive/read-gate.ts'
import { kUnsent, ServerWebSocket } from '../../lib/seams/server-websocket.ts'

class Socket extends ServerWebSocket {
  readonly [kUnsent] = 0
}

class Gate extends ReadGate {
  readonly connection: WebSocket = new Socket(1000)
  readonly stream = new PassThrough()
}

t.test('each reason holds until it goes', async (t) => {
  const gate = new Gate()
  gate.shut(PauseReason.Turn)
  gate.shut(PauseReason.Congestion)
  t.same([gate.isShut, gate.stream.isPaused()], [true, true])
  gate.open(PauseReason.Turn)
  gate.open(PauseReason.Turn)
  t.equal(gate.isShut, true)
  gate.open(PauseReason.Congestion)
  t.equal(gate.isShut, false)
})

t.test('when this side has closed, only a full queue holds', async (t) => {
  const gate = new Gate()
  gate.shut(PauseReason.Congestion)
  gate.openForClose()
  t.equal(gate.isShut, false)
  gate.shut(PauseReason.Congestion)
  gate.shut(PauseReason.Turn)
  t.equal(gate.isShut, false)
  gate.shut(PauseReason.Queue)
  t.same([gate.isShut, gate.stream.isPaused()], [true, true])
  gate.openForClose()
  t.equal(gate.isShut, true)
  gate.open(PauseReason.Queue)
  t.equal(gate.isShut, false)
})
