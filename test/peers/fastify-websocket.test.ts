// The tests that @fastify/websocket has in its package, on apps that have this plugin as well: a neighbour changes nothing.
// Needs the build.
import { readdirSync, realpathSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = `${dirname(fileURLToPath(import.meta.resolve('@fastify/websocket')))}/test`
const files = readdirSync(folder).filter((name) => name.endsWith('.test.js'))
const loader = new URL('register-on-every-app.js', import.meta.url).href

// One after the other: one of the tests has a fixed port.
t.jobs = 1

t.test('the package has its tests', async (t) => {
  t.same(files, ['base.test.js', 'hooks.test.js', 'inject.test.js', 'router.test.js'])
})

for (const order of ['before', 'after']) {
  for (const file of files) {
    void t.spawn(process.execPath, [`--import=${loader}`, '--test-reporter=tap', realpathSync(`${folder}/${file}`)], {
      name: `${relative(root, folder)}/${file} with the plugin registered ${order} it`,
      cwd: root,
      env: { ...process.env, PEER_ORDER: order }
    })
  }
}
