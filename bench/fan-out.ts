// What it costs to send one message to many.
import { CONTENDERS, type ContenderName } from './contenders.ts'
import { clientMessage, head, serverMessage } from './dialects.ts'
import type { LoadOptions } from './load-process.ts'
import { measureRounds } from './rounds.ts'
import type { Group, Row, Scenario } from './scenario.ts'

export const FAN_OUT_ROWS: readonly Row[] = [row('ws'), row('@fastify/websocket'), row('crossws'), row('socket.io'), row('ours')]

const TEXT = { text: 'x'.repeat(256) }

export const FAN_OUT: readonly Group[] = [{
  title: 'Fan-out of 256 B to 1000 subscribers',
  unit: 'µs of CPU per delivery',
  scenarios: [1, 4].map(fanOut)
}]

export function fanOutOptions ({ contender, path }: Row, connections: number): LoadOptions {
  return {
    connections,
    head: head(contender, path),
    answer: serverMessage(contender, 'news', TEXT),
    publisherHead: head(contender, '/publish'),
    publisherMessage: clientMessage(contender, 'publish', TEXT)
  }
}

function row (contender: ContenderName): Row {
  return { name: contender, contender: CONTENDERS[contender], path: '/subscribe' }
}

function fanOut (inFlight: number): Scenario {
  const name = `${inFlight} outstanding`
  const options = (row: Row): LoadOptions => ({ inFlight, ...fanOutOptions(row, 1000) })
  return { name, rows: FAN_OUT_ROWS, measure: (settings) => measureRounds(name, FAN_OUT_ROWS, { mode: 'fan-out', options }, settings) }
}
