// The rooms of CONTRIBUTING.md: `ls lib` is the architecture, imports between rooms form no circle, and every file is loaded by
// the tests.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import '../../index.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

// What all rooms share stands beside them in lib/. A room imports only from those above it in this list, types included.
const ROOMS = [
  'lib', 'seams', 'messages', 'send', 'receive', 'topics', 'connection', 'upgrade', 'handshake', 'options', 'server', 'route', 'inject'
]

const MOST_FILES = 14

const LONGEST: Record<string, number> = { 'index.ts': 80 }

const filesOf = (folder: string): string[] =>
  (readdirSync(join(root, folder), { recursive: true }) as string[]).filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name}`)
const sources = ['index.ts', ...filesOf('lib'), ...filesOf('types')]

function roomOf (file: string): string {
  const folders = dirname(file).split('/')
  return folders.length === 1 ? String(folders[0]) : folders.slice(1).join('/')
}

function importsOf (file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  const found = text.matchAll(/^(?:import|export)\b(?:[^']*?)(?:from )?'(?<path>\.[^']+)'/gm)
  return [...found].map(({ groups }) => normalize(join(dirname(file), groups?.path ?? '')))
}

t.test('each folder of lib is a room, with few enough files to see at once', async (t) => {
  const files = filesOf('lib')
  t.same([...new Set(files.map(roomOf))].toSorted(), ROOMS.toSorted())
  const contributing = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')
  for (const room of ROOMS) {
    const count = files.filter((file) => roomOf(file) === room).length
    t.ok(count <= MOST_FILES, `${room} has ${count} files`)
    t.match(contributing, room === 'lib' ? '`lib/`' : `\`lib/${room}/\``)
  }
})

t.test('a room imports from the rooms before it, so that there is no circle', async (t) => {
  let count = 0
  for (const file of filesOf('lib')) {
    for (const path of importsOf(file)) {
      if (path.startsWith('types/') || roomOf(path) === roomOf(file)) continue
      count++
      t.ok(ROOMS.indexOf(roomOf(path)) < ROOMS.indexOf(roomOf(file)), `${file} imports ${path}`)
    }
  }
  t.ok(count > 40, 'the imports were found')
  for (const file of filesOf('types')) t.same(importsOf(file).filter((path) => !path.startsWith('types/')), [], file)
})

t.test('no file of lib is forgotten', async (t) => {
  const reached = new Set(['index.ts'])
  for (const file of reached) for (const path of importsOf(file)) reached.add(path)
  t.same(sources.filter((file) => !reached.has(file)), [])
})

t.test('files have names after what they are, and a size to read at once', async (t) => {
  for (const file of sources) {
    t.match(basename(file), /^[a-z0-9]+(-[a-z0-9]+)*\.ts$/)
    t.notMatch(file, /utils|helpers|common|misc|manager/)
    const lines = readFileSync(join(root, file), 'utf8').split('\n').length
    t.ok(lines <= (LONGEST[file] ?? 250), `${file} has ${lines} lines`)
  }
})
