// @ts-check
// What several processes share, where there is a Redis: what is said, and who is logged in.
import { Redis } from 'ioredis'
import mqemitterRedis from 'mqemitter-redis'

const DAY = 24 * 60 * 60

/** @param {string} url */
export function openRedis (url) {
  // Without the check a new connection may subscribe at once.
  const options = { enableReadyCheck: false }
  // One that subscribes can do nothing else.
  const subConn = new Redis(url, options)
  const pubConn = new Redis(url, options)
  const emitter = mqemitterRedis({ subConn, pubConn })

  return {
    emitter,
    sessions: {
      /** @param {string} session */
      get: async (session) => await pubConn.get(`chat:session:${session}`) ?? undefined,
      /** @param {string} session @param {string} name */
      set: async (session, name) => { await pubConn.set(`chat:session:${session}`, name, 'EX', DAY) },
      /** @param {string} session */
      delete: async (session) => { await pubConn.del(`chat:session:${session}`) }
    },
    /** Sends what waits, and does not wait for a server that is away. */
    async close () {
      await Promise.all([subConn, pubConn].map(async (connection) => {
        if (connection.status === 'ready') await connection.quit().catch(() => {})
        else connection.disconnect()
      }))
    }
  }
}
