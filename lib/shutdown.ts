// fastify.close(): no upgraded socket may keep the server from closing.
import type { UpgradeListener } from './upgrade.ts'

/** Ends every handshake and every connection. Resolves when all are gone; after `closeTimeout` milliseconds they are made to go. */
export async function shutDown (listener: UpgradeListener, closeTimeout: number): Promise<void> {
  listener.refuseAll()
  for (const connection of listener.connections) connection.close(1001, 'The server is closing')
  const timer = setTimeout(terminateAll, closeTimeout, listener)
  await Promise.all([listener.pending.whenEmpty(), listener.connections.whenEmpty()])
  clearTimeout(timer)
}

function terminateAll (listener: UpgradeListener): void {
  for (const connection of listener.connections) connection.terminate()
  for (const response of listener.pending) response.abort()
}
