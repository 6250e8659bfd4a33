// The package as npm would publish it, and a project that has installed it. Needs the build and the registry.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Teardown } from './app.ts'
import { runNpm } from './plain-process.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Tarball {
  file: string
  /** The paths in it. */
  paths: string[]
}

export interface Project {
  folder: string
  /** What npm has printed. */
  output: string
  /** Writes files, whose folders must be there. */
  write (files: Record<string, string>): void
}

/** Packs it into a folder of its own, which is removed after the test. */
export async function pack (t: Teardown): Promise<Tarball> {
  const folder = temporaryFolder(t)
  const output = await runNpm(root, ['pack', '--json', '--loglevel=error', '--ignore-scripts', '--pack-destination', folder])
  const [{ filename, files }] = JSON.parse(output) as [{ filename: string, files: { path: string }[] }]
  return { file: join(folder, filename), paths: files.map(({ path }) => path) }
}

/** Makes a project with the package, with the Fastify that is installed here, and with other packages. */
export async function install (t: Teardown, ...packages: string[]): Promise<Project> {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  const { file } = await pack(t)
  const output = await runNpm(folder, ['install', '--no-audit', '--no-fund', '--prefer-offline', file, `fastify@${versionOf('fastify')}`, ...packages])
  return {
    folder,
    output,
    write (files) {
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    }
  }
}

/** The version of a package that is installed here. */
function versionOf (name: string): string {
  return (JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as { version: string }).version
}

function temporaryFolder (t: Teardown): string {
  const folder = mkdtempSync(join(tmpdir(), 'package-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}
