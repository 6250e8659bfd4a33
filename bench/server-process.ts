// The parent's side of server.ts.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Contender } from './contenders.ts'
import { pinned } from './cores.ts'
import type { Question } from './server.ts'

export class ServerProcess {
  readonly #child: ChildProcess
  readonly #failed: Promise<never>
  #port = 0

  private constructor ({ name, server, hasBufferutil }: Contender) {
    const { command, args } = pinned('server', process.execPath, ['--expose-gc'])
    this.#child = fork(fileURLToPath(new URL('server.js', import.meta.url)), [server], {
      execPath: command,
      execArgv: args,
      env: { ...process.env, NODE_ENV: 'production', ...(hasBufferutil ? {} : { WS_NO_BUFFER_UTIL: '1' }) }
    })
    this.#failed = once(this.#child, 'exit').then(([code, signal]) => {
      throw new Error(`the server of ${name} has exited with ${code ?? signal}`)
    })
    this.#failed.catch(() => {})
  }

  static async start (contender: Contender): Promise<ServerProcess> {
    const server = new ServerProcess(contender)
    server.#port = await server.#answer() as number
    return server
  }

  get port (): number {
    return this.#port
  }

  /** CPU time so far, user and system, of all threads, in microseconds. */
  async cpuTime (): Promise<number> {
    const { user, system } = await this.#ask('cpu') as NodeJS.CpuUsage
    return user + system
  }

  /** After a garbage collection. */
  memory (): Promise<NodeJS.MemoryUsage> {
    return this.#ask('memory') as Promise<NodeJS.MemoryUsage>
  }

  async stop (): Promise<void> {
    this.#child.disconnect()
    await this.#failed.catch(() => {})
  }

  #ask (question: Question): Promise<unknown> {
    const answer = this.#answer()
    this.#child.send(question)
    return answer
  }

  async #answer (): Promise<unknown> {
    const [answer] = await Promise.race([once(this.#child, 'message'), this.#failed])
    return answer
  }
}
