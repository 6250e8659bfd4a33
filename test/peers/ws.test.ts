// What ws documents of a server's socket, on a bare ws server and on a connection of this plugin: there is no difference but
// those in docs/differences-from-ws.md.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { closing } from './cases/closing.ts'
import { events } from './cases/events.ts'
import { properties } from './cases/properties.ts'
import { receiving } from './cases/receiving.ts'
import { sending } from './cases/sending.ts'
import { playBoth, type Scene } from './side-by-side.ts'

t.setTimeout(240_000)

const scenes: Record<string, Scene> = { ...properties, ...events, ...closing, ...sending, ...receiving }

// The first column of the tables.
const document = readFileSync(new URL('../../docs/differences-from-ws.md', import.meta.url), 'utf8')
const listed = [...document.matchAll(/^\| ([^|]+) \| (?!---)/gm)].map(([, name]) => String(name).replaceAll('`', '')).filter((name) => name !== 'what' && name !== '---')

t.test('docs/differences-from-ws.md lists nothing that is not tried', async (t) => {
  t.same(listed.filter((name) => !(name in scenes)), [])
  t.equal(new Set(listed).size, listed.length)
  t.ok(listed.length > 0)
})

for (const [name, scene] of Object.entries(scenes)) {
  t.test(name, async (t) => {
    const [ws, ours] = await playBoth(t, scene)
    t.ok(ws.server.length + ws.client.length > 0, 'something was seen')
    if (listed.includes(name)) t.notSame(ours, ws, 'it differs, as docs/differences-from-ws.md says')
    else t.same(ours, ws)
  })
}
