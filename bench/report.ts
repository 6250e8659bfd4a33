// The results in README.md, with what they were measured on.
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Result } from './scenario.ts'
import type { Settings } from './settings.ts'
import { renderResult } from './table.ts'

const README = fileURLToPath(new URL('../../README.md', import.meta.url))
const MODULES = new URL('../../../node_modules/', import.meta.url)
const BEGIN = '<!-- results -->\n'
const END = '<!-- end of results -->\n'
const PACKAGES = ['fastify', 'ws', 'bufferutil', '@fastify/websocket', 'crossws', 'socket.io']

export function writeReport (results: readonly Result[], settings: Settings): void {
  const text = readFileSync(README, 'utf8')
  const [before, rest] = split(text, BEGIN)
  const [, after] = split(rest, END)
  const report = [describeRun(settings), ...results.map(renderResult)].join('\n\n')
  writeFileSync(README, `${before}${BEGIN}\n${report}\n\n${END}${after}`)
}

export function describeRun ({ rounds, slice, warmUp }: Settings): string {
  const processors = cpus()
  const versions = PACKAGES.map((name) => `${name} ${versionOf(name)}`)
  return [
    `${new Date().toISOString().slice(0, 10)}, Node.js ${process.version}, ${versions.join(', ')};`,
    `${processors.length} × ${processors[0]?.model.trim() ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB,`,
    `Linux ${release()}; medians of ${rounds} slices of ${slice} ms after a warm-up of ${warmUp} ms.`
  ].join(' ')
}

function versionOf (name: string): string {
  return JSON.parse(readFileSync(new URL(`${name}/package.json`, MODULES), 'utf8')).version
}

function split (text: string, at: string): [string, string] {
  const index = text.indexOf(at)
  if (index === -1) throw new Error(`bench/README.md has no ${at.trim()}`)
  return [text.slice(0, index), text.slice(index + at.length)]
}
