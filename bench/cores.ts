// The servers have one core and the load another, so that neither takes time from the other.
import { spawnSync } from 'node:child_process'

interface Cores {
  readonly load: number
  readonly server: number
}

/** Null if there is no `taskset`, or only one core: then nothing is pinned. */
export const CORES: Cores | null = findCores()

/** The command and its arguments, pinned. */
export function pinned (to: keyof Cores, command: string, args: readonly string[] = []): { command: string, args: string[] } {
  return CORES === null ? { command, args: [...args] } : { command: 'taskset', args: ['-c', String(CORES[to]), command, ...args] }
}

/** With all threads. */
export function pinThisProcess (): void {
  if (CORES !== null) spawnSync('taskset', ['-acp', String(CORES.load), String(process.pid)])
}

function findCores (): Cores | null {
  const { stdout } = spawnSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8' })
  const list = /: ([\d,-]+)\s*$/.exec(stdout ?? '')?.[1]
  if (list === undefined) return null
  const cores = list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
  const [load, server] = cores
  return load === undefined || server === undefined ? null : { load, server }
}
