// The floors of CONTRIBUTING.md: a file imports only from lower ones, and every file is loaded by the tests.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import '../index.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

const FLOORS: Record<string, number> = {
  'index.ts': 4,
  'lib/shutdown.ts': 3,
  'lib/upgrade.ts': 3,
  'lib/drain.ts': 3,
  'lib/inject.ts': 3,
  'lib/websockets.ts': 3,
  'lib/attempt.ts': 2,
  'lib/connections.ts': 2,
  'lib/websocket-route.ts': 3,
  'lib/connection.ts': 2,
  'lib/connection-route.ts': 2,
  'lib/handshake.ts': 2,
  'lib/intake.ts': 2,
  'lib/method-route.ts': 2,
  'lib/route-callbacks.ts': 2,
  'lib/pub-sub.ts': 2,
  'lib/session.ts': 2,
  'lib/upgrade-response.ts': 2,
  'lib/upgrader.ts': 2,
  'lib/batch.ts': 1,
  'lib/capturing-websocket.ts': 1,
  'lib/framed-message.ts': 1,
  'lib/closing.ts': 1,
  'lib/handshake-check.ts': 1,
  'lib/handshake-constraint.ts': 1,
  'lib/header-fields.ts': 1,
  'lib/heartbeat.ts': 1,
  'lib/inbox.ts': 1,
  'lib/emitter-link.ts': 1,
  'lib/emitter-probe.ts': 1,
  'lib/fan-out.ts': 1,
  'lib/farewell.ts': 1,
  'lib/message-schemas.ts': 1,
  'lib/memory-socket.ts': 1,
  'lib/options.ts': 1,
  'lib/option-checks.ts': 1,
  'lib/origin.ts': 1,
  'lib/quota.ts': 1,
  'lib/refusal.ts': 1,
  'lib/route-match.ts': 1,
  'lib/stats.ts': 1,
  'lib/outbox.ts': 1,
  'lib/outgoing.ts': 1,
  'lib/paced-stream.ts': 1,
  'lib/pongs.ts': 1,
  'lib/pulse.ts': 1,
  'lib/read-gate.ts': 1,
  'lib/pipelined-responses.ts': 1,
  'lib/registry.ts': 1,
  'lib/replay.ts': 1,
  'lib/header-pool.ts': 1,
  'lib/header-schemas.ts': 1,
  'lib/socket-watch.ts': 1,
  'lib/subprotocol.ts': 1,
  'lib/subscribing-websocket.ts': 1,
  'lib/topic.ts': 1,
  'lib/topics.ts': 1,
  'lib/union-validator.ts': 1,
  'lib/upgrade-required.ts': 1,
  'lib/abandoned.ts': 0,
  'lib/channels.ts': 0,
  'lib/close-codes.ts': 0,
  'lib/counting-websocket.ts': 0,
  'lib/envelope.ts': 0,
  'lib/errors.ts': 0,
  'lib/frame.ts': 0,
  'lib/iteration.ts': 0,
  'lib/json-kind.ts': 0,
  'lib/lingering-close.ts': 0,
  'lib/message-size.ts': 0,
  'lib/number-map.ts': 0,
  'lib/pace.ts': 0,
  'lib/reading-check.ts': 0,
  'lib/retry-after.ts': 0,
  'lib/shared-deflate.ts': 0,
  'lib/shared-frame.ts': 0,
  'lib/socket-guard.ts': 0,
  'lib/stream-end.ts': 0,
  'lib/thenable.ts': 0,
  'lib/thrown.ts': 0,
  'lib/tick-shape.ts': 0,
  'lib/turn.ts': 0,
  'lib/validator.ts': 0,
  'lib/symbols.ts': 0
}

// One table of errors is easier to read than two.
const LONGEST: Record<string, number> = { 'index.ts': 80, 'lib/errors.ts': 350 }

const sources = ['index.ts', ...['lib', 'types'].flatMap((folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`))]
const floorOf = (file: string): number | undefined => file.startsWith('types/') ? 0 : FLOORS[file]

interface Import { path: string, isTypeOnly: boolean }

function importsOf (file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/^(?:import|export)\b(?<what>[^']*?)(?:from )?'(?<path>\.[^']+)'/gm)].map(({ groups }) => ({
    path: normalize(join(dirname(file), groups?.path ?? '')),
    isTypeOnly: /^\s*type\b/.test(groups?.what ?? '')
  }))
}

t.test('every file has a floor, and every floor a file', async (t) => {
  t.same(sources.filter((file) => floorOf(file) === undefined), [])
  t.same(Object.keys(FLOORS).filter((file) => !sources.includes(file)), [])
})

t.test('a file imports from lower floors, and by type from its own', async (t) => {
  let count = 0
  for (const file of sources) {
    for (const { path, isTypeOnly } of importsOf(file)) {
      count++
      const [from, to] = [floorOf(file) ?? -1, floorOf(path) ?? 99]
      t.ok(to < from || (to === from && (isTypeOnly || isSameConcern(file, path))), `${file} imports ${path}`)
    }
  }
  t.ok(count > 40, 'the imports were found')
})

// Within a floor: a check is built from smaller ones, a handshake makes the connection that it runs on, and a connection
// the session that it lives in.
function isSameConcern (file: string, imported: string): boolean {
  return [
    ['lib/handshake-check.ts', 'lib/subprotocol.ts'], ['lib/options.ts', 'lib/option-checks.ts'], ['lib/option-checks.ts', 'lib/origin.ts'], ['lib/option-checks.ts', 'lib/subprotocol.ts'], ['lib/handshake.ts', 'lib/connection.ts'],
    ['lib/connection.ts', 'lib/session.ts'],
    ['lib/connections.ts', 'lib/pub-sub.ts'], ['lib/subscribing-websocket.ts', 'lib/capturing-websocket.ts'], ['lib/outgoing.ts', 'lib/framed-message.ts'], ['lib/outgoing.ts', 'lib/message-schemas.ts'], ['lib/emitter-link.ts', 'lib/emitter-probe.ts'],
    ['lib/connections.ts', 'lib/upgrade-response.ts'], ['lib/handshake.ts', 'lib/upgrade-response.ts'],
    ['lib/websockets.ts', 'lib/drain.ts'], ['lib/outbox.ts', 'lib/batch.ts'],
    ['lib/session.ts', 'lib/intake.ts'],
    ['lib/message-schemas.ts', 'lib/union-validator.ts']
  ].some(([from, to]) => from === file && to === imported)
}

t.test('no file of lib is forgotten', async (t) => {
  const reached = new Set(['index.ts'])
  for (const file of reached) for (const { path } of importsOf(file)) reached.add(path)
  t.same(sources.filter((file) => !reached.has(file)), [])
})

t.test('files have names after what they are, and a size to read at once', async (t) => {
  for (const file of sources) {
    t.match(basename(file), /^[a-z0-9]+(-[a-z0-9]+)*\.ts$/)
    t.notMatch(file, /utils|helpers|common|misc|manager/)
    const lines = readFileSync(join(root, file), 'utf8').split('\n').length
    t.ok(lines <= (LONGEST[file] ?? 250), `${relative(root, join(root, file))} has ${lines} lines`)
  }
})
