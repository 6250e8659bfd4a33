// What a connection costs that is opened and closed, and what one that is refused.
import { CONTENDERS, type ContenderName, OLD_SPACE } from './contenders.ts'
import { head, type Headers } from './dialects.ts'
import type { LoadOptions } from './load-process.ts'
import { measureRounds } from './rounds.ts'
import type { Group, Row, Scenario } from './scenario.ts'
import type { Settings } from './settings.ts'
import { REFUSAL } from './workload.ts'

// At once.
const WORKERS = 32
const ALL = ['ws', '@fastify/websocket', 'crossws', 'socket.io', 'ours', 'ours+old-space'] as const
// socket.io has no say in the headers of a 101, nor @fastify/websocket in those of one of its handshakes.
const WITH_HEADERS = ['ws', 'crossws', 'ours'] as const
// socket.io has none in the body of a refusal.
const REFUSING = ['ws', 'node:http', '@fastify/websocket', 'crossws', 'ours'] as const

export const HANDSHAKES: readonly Group[] = [
  {
    title: 'Handshake, opened and closed',
    unit: 'µs of CPU per connection',
    scenarios: [
      handshake('minimal headers', ALL, '/echo', 'minimal'),
      handshake('browser headers and cookies', ALL, '/echo', 'browser'),
      handshake('header schema and onRequest hook', ALL, '/checked', 'authorized'),
      handshake('the same, and a header of the 101 by schema', WITH_HEADERS, '/session', 'authorized')
    ]
  },
  {
    title: 'Refusal',
    unit: 'µs of CPU per handshake',
    scenarios: [handshake('401 with a JSON body', REFUSING, '/refused', 'browser', 401)]
  }
]

// More code than a message runs through, and less often: it takes seconds until V8 has compiled what matters.
export function withLongWarmUp (settings: Settings): Settings {
  return { ...settings, warmUp: settings.warmUp * (settings.isQuick ? 8 : 3) }
}

function handshake (name: string, contenders: readonly ContenderName[], path: string, headers: Headers, status = 101): Scenario {
  const rows: Row[] = contenders.map((contender) => ({ name: contender === 'ours+old-space' ? `ours, ${OLD_SPACE}` : contender, contender: CONTENDERS[contender], path }))
  const answer = status === 101 ? {} : { answer: Buffer.from(JSON.stringify(REFUSAL)) }
  const options = ({ contender }: Row): LoadOptions => ({
    connections: WORKERS, status, head: head(contender, path, headers), ...answer
  })
  return {
    name,
    rows,
    measure: (settings) => measureRounds(name, rows, { mode: 'handshake', options }, withLongWarmUp(settings))
  }
}
