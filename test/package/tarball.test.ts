// What is in the tarball that npm publishes, and what a project has when it has installed it. Needs the build and the registry.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { install, pack } from '../support/packed.ts'

t.setTimeout(120_000)

const root = fileURLToPath(new URL('../..', import.meta.url))
const REPOSITORY = 'https://github.com/fastify-websocket-route/fastify-websocket-route'

interface Manifest { main: string, types: string, exports: { '.': { types: string, default: string } }, repository: { url: string }, homepage: string, bugs: string }

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest

const under = (folder: string): string[] => (readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(root.length).replaceAll('\\', '/'))

t.test('has what is run, its types and its documents, and no source', async (t) => {
  const { paths } = await pack(t)
  t.same(paths.toSorted(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json', ...under('dist'), ...under('docs')].toSorted())
  t.same(paths.filter((path) => /(?<!\.d)\.[cm]?tsx?$/.test(path)), [], 'a resolver finds no TypeScript but declarations')
})

t.test('no file names a source map', async (t) => {
  for (const path of under('dist')) t.notMatch(readFileSync(join(root, path), 'utf8'), /sourceMappingURL=/, path)
  t.same(under('dist').filter((path) => path.endsWith('.map')), [])
})

t.test('tools that do not know exports find the same files', async (t) => {
  t.equal(manifest.main, manifest.exports['.'].default)
  t.equal(manifest.types, manifest.exports['.'].types)
})

t.test('says where its home is, which a registry completes the links of README.md by', async (t) => {
  t.equal(manifest.repository.url, `git+${REPOSITORY}.git`)
  t.equal(manifest.homepage, `${REPOSITORY}#readme`)
  t.equal(manifest.bugs, `${REPOSITORY}/issues`)
  t.notMatch(readFileSync(join(root, 'README.md'), 'utf8'), /\]\(\.\.\/|(?:src|href)="(?!https:|#)/, 'which it does for links in Markdown, from the root')
})

t.test('is installed without a script, and without a warning of its own', async (t) => {
  const { folder, output } = await install(t)
  const { packages } = JSON.parse(readFileSync(join(folder, 'node_modules/.package-lock.json'), 'utf8')) as { packages: Record<string, { hasInstallScript?: boolean }> }
  t.ok('node_modules/fastify-websocket-route' in packages)
  t.same(Object.entries(packages).filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path), [])
  // What Fastify's own dependencies ask of Node.js is theirs to say.
  t.same(output.split('\n').filter((line) => /^npm warn/i.test(line) && !line.includes('EBADENGINE')), [])
})
