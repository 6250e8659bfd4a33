// Runs node and npm as a user would: without the loader that tap gives to every process that its tests start.
import { spawn } from 'node:child_process'

export interface Finished {
  code: number | null
  /** What it has printed, errors too. */
  output: string
}

const isWindows = process.platform === 'win32'
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^_?TAP|^NODE_OPTIONS$|^NODE_V8_COVERAGE$|^npm_/i.test(name)))

/** Runs `node` with these arguments in a folder. */
export function runNode (folder: string, args: string[]): Promise<Finished> {
  return run(folder, process.execPath, args)
}

/** Runs `npm` with these arguments in a folder, and throws what it has printed if it fails. */
export async function runNpm (folder: string, args: string[]): Promise<string> {
  const { code, output } = await run(folder, isWindows ? 'npm.cmd' : 'npm', args)
  if (code !== 0) throw new Error(`npm ${args.join(' ')}: ${output}`)
  return output
}

function run (cwd: string, command: string, args: string[]): Promise<Finished> {
  // tap sets NODE_OPTIONS again, whatever the environment is to be, for the process that is started here.
  const [file, rest] = isWindows ? [command, args] : ['/usr/bin/env', ['-u', 'NODE_OPTIONS', command, ...args]]
  const child = spawn(file, rest, { cwd, env, shell: isWindows && command !== process.execPath, stdio: ['ignore', 'pipe', 'pipe'] })
  return new Promise((resolve, reject) => {
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
    child.on('error', reject).on('close', (code) => resolve({ code, output }))
  })
}
