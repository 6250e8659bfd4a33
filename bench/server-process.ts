// The parent's side of server.ts.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Contender } from './contenders.ts'
import { pinned } from './cores.ts'
import type { Question } from './server.ts'
import type { SubscriptionCosts } from './subscribing.ts'
import { IS_DEFLATING } from './workload.ts'

export interface CpuTime {
  readonly all: number
  readonly kernel: number
}

export class ServerProcess {
  readonly #child: ChildProcess
  readonly #failed: Promise<never>
  #port = 0

  private constructor ({ name, server, hasBufferutil, isDeflating, flags }: Contender) {
    const { command, args } = pinned('server', process.execPath, ['--expose-gc', ...flags])
    this.#child = fork(fileURLToPath(new URL('server.js', import.meta.url)), [server, ...(isDeflating ? [IS_DEFLATING] : [])], {
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

  /** CPU time so far, of all threads, in microseconds. */
  async cpuTime (): Promise<CpuTime> {
    const { user, system } = await this.#ask('cpu') as NodeJS.CpuUsage
    return { all: user + system, kernel: system }
  }

  /** After a garbage collection. */
  memory (): Promise<NodeJS.MemoryUsage> {
    return this.#ask('memory') as Promise<NodeJS.MemoryUsage>
  }

  /** As it is at the moment. */
  memoryNow (): Promise<NodeJS.MemoryUsage> {
    return this.#ask('memoryNow') as Promise<NodeJS.MemoryUsage>
  }

  /** From now on it counts the bytes that it allocates. */
  async countAllocations (): Promise<void> {
    await this.#ask('count')
  }

  /** How many those are by now, on the heap of V8. */
  allocations (): Promise<number> {
    return this.#ask('allocations') as Promise<number>
  }

  /** What it costs to subscribe the connections that it has. */
  subscriptionCosts (): Promise<SubscriptionCosts> {
    return this.#ask('subscriptions') as Promise<SubscriptionCosts>
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
