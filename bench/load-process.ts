// The load generator, as bench/load/main.c describes it.
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { pinned } from './cores.ts'

const SOURCES = fileURLToPath(new URL('../../load', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../load', import.meta.url))

export type LoadMode = 'echo' | 'handshake' | 'fan-out' | 'hold'

/** Those of bench/load/options.c. */
export type LoadOptions = Readonly<Record<string, number | boolean | Buffer>>

/** What the load generator has done: microseconds. */
export interface LoadReport {
  readonly operations: number
  readonly elapsed: number
  readonly cpu: number
}

/** What a bystander has met: microseconds. */
export interface BystanderReport {
  readonly roundTrips: readonly number[]
  /** Of the time in which fan-outs were under way, if there were any. */
  readonly elapsed: number
  readonly cpu: number
}

export function compileLoad (): void {
  mkdirSync(fileURLToPath(new URL('..', import.meta.url)), { recursive: true })
  const files = readdirSync(SOURCES).filter((name) => name.endsWith('.c')).map((name) => join(SOURCES, name))
  const { error, status } = spawnSync('cc', ['-O2', '-Wall', '-Wextra', '-std=gnu11', '-o', PROGRAM, ...files], { stdio: 'inherit' })
  if (error !== undefined) {
    throw new Error(`The load generator is written in C and needs a compiler, as \`cc\`, on Linux: ${error.message}`)
  }
  if (status !== 0) throw new Error(`The load generator does not compile: cc has exited with ${status}`)
}

export class LoadProcess {
  readonly #name: string
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>
  /** What opening the connections took. */
  opening: LoadReport = { operations: 0, elapsed: 0, cpu: 0 }

  private constructor (name: string, options: readonly string[]) {
    this.#name = name
    const { command, args } = pinned('load', PROGRAM, options)
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** `name` stands in the errors. Resolves when the connections are open. */
  static async start (name: string, mode: LoadMode, options: LoadOptions): Promise<LoadProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'websocket-bench-'))
    try {
      const load = new LoadProcess(name, [mode, ...writeArguments(directory, options)])
      load.opening = await load.#answer() as LoadReport
      return load
    } finally {
      // It has read them.
      rmSync(directory, { recursive: true })
    }
  }

  run (milliseconds: number): Promise<LoadReport> {
    return this.#command(`run ${milliseconds}`) as Promise<LoadReport>
  }

  /** So many handshakes. */
  count (handshakes: number): Promise<LoadReport> {
    return this.#command(`count ${handshakes}`) as Promise<LoadReport>
  }

  /** The bystander, with fan-outs and so long a pause after each. */
  paced (milliseconds: number, pause: number): Promise<BystanderReport> {
    return this.#command(`paced ${milliseconds} ${pause}`) as Promise<BystanderReport>
  }

  /** The same without a bystander: what was delivered. */
  pacedDeliveries (milliseconds: number, pause: number): Promise<LoadReport> {
    return this.#command(`paced ${milliseconds} ${pause}`) as Promise<LoadReport>
  }

  /** The bystander alone. */
  quiet (milliseconds: number): Promise<BystanderReport> {
    return this.#command(`quiet ${milliseconds}`) as Promise<BystanderReport>
  }

  /** Throws if something went wrong since the last answer. */
  async stop (): Promise<void> {
    this.#child.stdin.end()
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
    if (this.#child.exitCode !== 0) await this.#answer()
  }

  #command (command: string): Promise<LoadReport | BystanderReport> {
    this.#child.stdin.write(`${command}\n`)
    return this.#answer()
  }

  async #answer (): Promise<LoadReport | BystanderReport> {
    const { value: line } = await this.#lines.next()
    if (line === undefined) throw new Error(`${this.#name}: the load generator has died`)
    const answer = JSON.parse(line)
    if ('error' in answer) throw new Error(`${this.#name}: ${answer.error}`)
    return answer
  }
}

function writeArguments (directory: string, options: LoadOptions): string[] {
  return Object.entries(options).map(([name, value]) => {
    if (!Buffer.isBuffer(value)) return `${name}=${Number(value)}`
    writeFileSync(join(directory, name), value)
    return `${name}=${join(directory, name)}`
  })
}
