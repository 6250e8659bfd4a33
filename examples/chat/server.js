// @ts-check
// A chat: log in with a name, get a cookie, open a WebSocket whose handshake reads it, and send messages that are validated.
// With REDIS_URL several of these processes are one chat.
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import cookie from '@fastify/cookie'
import files from '@fastify/static'
import { Type } from 'typebox'
import Fastify from 'fastify'
import websocket from 'fastify-websocket-route'
import { openRedis } from './redis.js'

const COOKIE = 'chat-session'
const REFUSED = { error: 'authorization required', message: 'Log in before you join a room.' }

/**
 * Builds the server without listening.
 *
 * @param {import('fastify').FastifyServerOptions} [options]
 * @param {string} [redisUrl] what connects it with other processes
 */
export async function buildApp (options = {}, redisUrl = undefined) {
  const app = Fastify(options)
  const redis = redisUrl === undefined ? undefined : openRedis(redisUrl)
  /**
   * What the cookie says, and whose it is: of this process, or of all.
   *
   * @type {Map<string, string> | NonNullable<typeof redis>['sessions']}
   */
  const sessions = redis?.sessions ?? new Map()
  /** By which name somebody has come. @type {WeakMap<object, string>} */
  const names = new WeakMap()

  /** @param {import('fastify').FastifyRequest} request */
  const nameOf = async (request) => await sessions.get(request.cookies[COOKIE] ?? '')

  /** @param {{ params: unknown }} request */
  const roomOf = (request) => /** @type {{ room: string }} */ (request.params).room

  /** The topic of a room. @param {string} room */
  const topicOf = (room) => `chat:${room}`

  await app.register(cookie)
  await app.register(files, { root: fileURLToPath(new URL('public', import.meta.url)) })
  await app.register(websocket, { emitter: redis?.emitter })
  app.addHook('onClose', async () => { await redis?.close() })

  app.post('/login', {
    schema: { body: Type.Object({ name: Type.String({ minLength: 1, maxLength: 30, pattern: '\\S' }) }) }
  }, async (request, reply) => {
    const { name } = /** @type {{ name: string }} */ (request.body)
    const session = randomUUID()
    await sessions.set(session, name)
    reply.setCookie(COOKIE, session, { httpOnly: true, sameSite: 'strict', path: '/' })
    return { name }
  })

  app.post('/logout', async (request, reply) => {
    await sessions.delete(request.cookies[COOKIE] ?? '')
    reply.clearCookie(COOKIE, { path: '/' })
    return reply.code(204).send()
  })

  // For a load balancer, and for whoever wants to know whether the processes reach each other.
  app.get('/health', async () => ({ emitter: app.websockets.stats.emitter }))

  app.websocketRoute('/rooms/:room', {
    protocols: ['chat.v2', 'chat.v1'],
    schema: {
      params: Type.Object({ room: Type.String({ maxLength: 40 }) }),
      response: {
        101: { headers: Type.Object({ 'x-session': Type.String() }) },
        401: Type.Object({ error: Type.String(), message: Type.String() })
      },
      receive: Type.Object({ text: Type.String({ minLength: 1, maxLength: 500 }) }),
      send: Type.Union([
        Type.Object({ from: Type.String(), text: Type.String() }),
        Type.Object({ error: Type.String() })
      ])
    },
    async onHandshake (conn, request) {
      const name = await nameOf(request)
      if (name === undefined) return conn.reject({ code: 401, body: REFUSED })
      names.set(conn, name)
      conn.acceptWith({ headers: { 'x-session': String(conn.id) } })
    },
    onConnection (conn, request) {
      conn.subscribe(topicOf(roomOf(request)))
    },
    onMessage (conn, message) {
      const { text } = /** @type {{ text: string }} */ (message)
      // To all in the room, who has said it too: in every process.
      app.websockets.publish(topicOf(roomOf(conn.request)), { from: names.get(conn), text })
    },
    // Without this a message that is not valid would end the connection. Here its sender is told, and may try again.
    onError (conn, error) {
      if (error.code === 'FST_ERR_WS_MESSAGE_INVALID') {
        conn.sendMessage({ error: `Not sent: ${error.reason}.` })
        return
      }
      conn.log.error({ err: error })
      conn.close(error.closeCode ?? 1011)
    },
    // A page cannot see why its WebSocket was refused, so it asks the same path over plain HTTP.
    async handler (request, reply) {
      const name = await nameOf(request)
      if (name === undefined) return reply.code(401).send(REFUSED)
      const room = roomOf(request)
      return reply.send({ room, name, people: app.websockets.subscribers(topicOf(room)) })
    }
  })

  return app
}

async function main () {
  const app = await buildApp({ logger: { level: 'warn' } }, process.env.REDIS_URL)
  const stop = () => { void app.close() }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  const address = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
  process.stdout.write(`The chat is at ${address}\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
