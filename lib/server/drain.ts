// Closes the connections of a server, some at a time: clients come back at once, and should not all do so in one moment.
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { WebSocket } from 'ws'
import type { DrainOptions, DrainProgress } from '../../types/websockets.ts'
import { checkClose } from '../connection/closing.ts'
import { readDrainOptions } from '../options/options.ts'
import { settle } from '../thenable.ts'
import { logError } from '../thrown.ts'
import { clearTimeout, setTimeout } from '../timers.ts'
import type { Connections } from './connections.ts'

/**
 * Resolves to the counts when no connection is left.
 *
 * @throws FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_CLOSE_CODE, FST_ERR_WS_CLOSE_REASON
 */
export async function drain (connections: Connections, given: DrainOptions, log: FastifyBaseLogger): Promise<Omit<DrainProgress, 'remaining'>> {
  const { code, reason, batchSize, interval, timeout, onProgress } = readDrainOptions(given)
  checkClose(code, reason)
  const { open } = connections
  const total = open.size
  let terminated = 0

  const report = (): void => {
    const progress = { closed: total - open.size - terminated, terminated, remaining: open.size }
    log.info(progress, 'Draining WebSockets')
    if (onProgress !== undefined) settle(() => onProgress(progress) as unknown, (err) => logError(log, 'error', { err }, 'onProgress failed'))
  }

  connections.refuseAll()
  // Aborted when all connections are gone, or when the time is up.
  const over = new AbortController()
  const timer = timeout === undefined ? undefined : setTimeout(() => over.abort(), timeout)
  const gone = open.whenEmpty().then(() => over.abort())
  while (!over.signal.aborted && closeSome(connections, batchSize, code, reason)) {
    report()
    await delay(interval * (0.5 + Math.random()), undefined, { signal: over.signal }).catch(() => {})
  }
  if (!over.signal.aborted) await once(over.signal, 'abort')
  clearTimeout(timer)
  for (const connection of open) {
    terminated++
    connection.terminate()
  }
  await gone
  report()
  return { closed: total - terminated, terminated }
}

// Returns whether there was one to close.
function closeSome ({ open }: Connections, count: number, code: number, reason: string): boolean {
  let closed = 0
  for (const connection of open) {
    if (closed === count) break
    if (connection.readyState !== WebSocket.OPEN) continue
    connection.close(code, reason)
    closed++
  }
  return closed > 0
}
