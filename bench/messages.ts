// What a message costs: echoed, and validated and serialised.
import { CONTENDERS, type ContenderName, OLD_SPACE } from './contenders.ts'
import { exchange, head, type Payload } from './dialects.ts'
import type { LoadOptions } from './load-process.ts'
import { measureRounds } from './rounds.ts'
import type { Group, Row, Scenario } from './scenario.ts'
import type { Settings } from './settings.ts'

const ECHO_ROWS: readonly Row[] = [
  row('ws', 'ws'),
  row('ws, with bufferutil', 'ws+bufferutil'),
  row('@fastify/websocket', '@fastify/websocket'),
  row('crossws', 'crossws'),
  row('socket.io', 'socket.io'),
  row("ours, conn.on('message')", 'ours', '/listener'),
  row('ours, onMessage', 'ours'),
  row('ours, async onMessage', 'ours', '/async'),
  row('ours, for await', 'ours', '/iteration'),
  row('ours, onMessage, no bufferutil', 'ours-bufferutil')
]

const LONG_ECHO_ROWS: readonly Row[] = [...ECHO_ROWS, row(`ours, onMessage, ${OLD_SPACE}`, 'ours+old-space')]

const JSON_ROWS: readonly Row[] = [
  row('ws', 'ws', '/json'),
  row('@fastify/websocket', '@fastify/websocket', '/json'),
  row('crossws', 'crossws', '/json'),
  row('socket.io', 'socket.io', '/json'),
  row('ours', 'ours', '/json')
]

const TEXT = 'The quick brown fox jumps over the lazy dog.'
const JSON_MESSAGE = { json: { id: 12345, text: TEXT, tags: ['a', 'b', 'c'] } }
const JSON_ANSWER = { json: { id: 12345, text: TEXT, count: 3 } }

const SIZES = [[32, '32 B'], [1024, '1 KiB'], [65_536, '64 KiB']] as const
const SHAPES = {
  32: [[64, 1], [64, 4], [64, 16], [1000, 1], [1000, 16]],
  1024: [[64, 1], [64, 16], [1000, 1], [1000, 16]],
  65_536: [[64, 1], [64, 16], [1000, 1], [1000, 16]]
} as const

// Bytes under way. A slice ends when all is answered that was sent: from here on that takes seconds, and a few slices do.
const HEAVY = 256 * 1024 * 1024

export const MESSAGES: readonly Group[] = [
  ...SIZES.map(([size, label]): Group => {
    const payload = { binary: Buffer.alloc(size, 'x') }
    return {
      title: `Echo of ${label}`,
      unit: 'µs of CPU per message',
      scenarios: SHAPES[size].map(([connections, inFlight]) => scenario(size === 65_536 ? LONG_ECHO_ROWS : ECHO_ROWS, connections, inFlight, payload))
    }
  }),
  {
    title: 'JSON in, validated, and JSON out',
    unit: 'µs of CPU per message',
    scenarios: [1, 16].map((inFlight) => scenario(JSON_ROWS, 64, inFlight, JSON_MESSAGE, JSON_ANSWER))
  }
]

function withFewRounds (settings: Settings): Settings {
  return { ...settings, rounds: Math.ceil(settings.rounds / 4) }
}

function sizeOf (payload: Payload): number {
  return 'binary' in payload ? payload.binary.length : 0
}

function row (name: string, contender: ContenderName, path = '/echo'): Row {
  return { name, contender: CONTENDERS[contender], path }
}

function scenario (rows: readonly Row[], connections: number, inFlight: number, sent: Payload, answered = sent): Scenario {
  const name = `${connections} connections, ${inFlight} in flight`
  const isHeavy = connections * inFlight * sizeOf(sent) > HEAVY
  const options = ({ contender, path }: Row): LoadOptions => ({
    connections, inFlight, head: head(contender, path), ...exchange(contender, path.slice(1), sent, answered)
  })
  return {
    name,
    rows,
    isLong: connections > 64,
    measure: (settings) => measureRounds(name, rows, { mode: 'echo', options }, isHeavy ? withFewRounds(settings) : settings)
  }
}
