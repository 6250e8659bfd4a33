// What it costs to send one message to many, and what others notice of it.
import { CONTENDERS, type ContenderName } from './contenders.ts'
import { clientMessage, head, serverMessage } from './dialects.ts'
import { measureRounds } from './rounds.ts'
import type { Group, Row, Scenario } from './scenario.ts'

export const FAN_OUT_ROWS: readonly Row[] = [
  row('ws'),
  row('@fastify/websocket'),
  row('crossws'),
  row('socket.io'),
  row('ours')
]

const TEXT = { text: 'x'.repeat(256) }

export const FAN_OUT: readonly Group[] = [{
  title: 'Fan-out of 256 B to 1000 subscribers',
  unit: 'µs of CPU per delivery',
  scenarios: [1, 4].map(fanOut)
}]

/** For the load generator. */
export function fanOutOptions ({ contender }: Row, connections: number): Record<string, number | Buffer> {
  return {
    connections,
    head: head(contender, '/subscribe'),
    answer: serverMessage(contender, 'news', TEXT),
    publisherHead: head(contender, '/publish'),
    publisherMessage: clientMessage(contender, 'publish', TEXT)
  }
}

function row (contender: ContenderName): Row {
  return { name: contender, contender: CONTENDERS[contender], path: '/subscribe' }
}

function fanOut (inFlight: number): Scenario {
  return {
    name: `${inFlight} outstanding`,
    measure: (settings) => measureRounds(FAN_OUT_ROWS, 'fan-out', (row) => ({ inFlight, ...fanOutOptions(row, 1000) }), settings)
  }
}
