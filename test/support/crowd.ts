// Many clients at once, each as little as can be.
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { WebSocketConnection } from '../../index.ts'
import type { Teardown } from './app.ts'
import { openRaw, type RawClient } from './raw.ts'

export interface CrowdMember {
  client: RawClient
  conn: WebSocketConnection
  /** The texts that it has received. */
  texts (): string[]
}

/** Opens so many connections, in the order of their ids. */
export async function openCrowd (t: Teardown, app: FastifyInstance, count: number, path = '/'): Promise<CrowdMember[]> {
  const { port } = app.server.address() as AddressInfo
  const members: CrowdMember[] = []
  while (members.length < count) {
    const [conn, client] = [lastOf(app.websockets), await openRaw(t, port, path)]
    const added = lastOf(app.websockets) as WebSocketConnection
    if (added === conn) throw new Error('no connection was added')
    members.push({ client, conn: added, texts: () => client.frames.filter(({ first }) => first < 0x88).map(({ payload }) => payload.toString()) })
  }
  return members
}

function lastOf (connections: Iterable<WebSocketConnection>): WebSocketConnection | undefined {
  return [...connections].at(-1)
}
