// fastify.close(): no upgraded socket may keep the server from closing.
import { clearTimeout, setTimeout } from '../timers.ts'
import type { Connections } from './connections.ts'

/**
 * Ends every connection, and every handshake whose turn has come: one that is pipelined behind a running request waits for
 * that, as Fastify does, and is refused then. Resolves when all are gone and their `onClose` has settled; after
 * `closeTimeout` milliseconds they are made to go, and `onClose` is not waited for any more.
 */
export async function shutDown (connections: Connections, closeTimeout: number): Promise<void> {
  connections.refuseAll()
  for (const connection of connections.open) connection.close(1001, 'The server is closing')
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<void>((resolve) => { timer = setTimeout(resolve, closeTimeout) })
  const gone = Promise.all([connections.pending.whenEmpty(), connections.open.whenEmpty()])
  await Promise.race([gone.then(() => connections.ending.whenEmpty()), timeout])
  clearTimeout(timer)
  for (const connection of connections.open) connection.terminate()
  for (const response of connections.pending) response.cutOff()
  await gone
}
