// A real Redis on a Unix socket, which no other test can have.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { eventually } from './eventually.ts'

const command = process.env.REDIS_SERVER ?? '/usr/bin/redis-server'

/** Why tests with Redis are skipped, or `false`. */
export const withoutRedis: string | false = existsSync(command) ? false : `Redis is not installed: no ${command}, and REDIS_SERVER names no other`

export class RedisServer {
  /** Where it listens. */
  readonly path: string
  #child: ChildProcess | null = null

  constructor (t: Test) {
    this.path = join(t.testdir(), 'redis.sock')
    t.teardown(() => this.kill())
  }

  async start (): Promise<void> {
    this.#child = spawn(command, ['--port', '0', '--unixsocket', this.path, '--save', '', '--appendonly', 'no', '--dir', join(this.path, '..')], { stdio: 'ignore' })
    let isUp = false
    while (!isUp) {
      const socket = connect(this.path)
      isUp = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'close').then(() => false)]).catch(() => false)
      socket.destroy()
      await eventually(() => true)
    }
  }

  /** Without a word, as if the machine had gone. */
  async kill (): Promise<void> {
    const child = this.#child
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** Stops it as it stands, or lets it go on: its sockets stay open. */
  freeze (isFrozen: boolean): void {
    this.#child?.kill(isFrozen ? 'SIGSTOP' : 'SIGCONT')
  }
}
