// @ts-check
// A chat: log in with a name, get a cookie, open a WebSocket whose handshake reads it, and send messages that are validated.
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import cookie from '@fastify/cookie'
import files from '@fastify/static'
import { Type } from 'typebox'
import Fastify from 'fastify'
import websocket from 'fastify-websocket-route'
import { Rooms } from './rooms.js'

const COOKIE = 'chat-session'
const REFUSED = { error: 'authorization required', message: 'Log in before you join a room.' }

/**
 * Builds the server without listening.
 *
 * @param {import('fastify').FastifyServerOptions} [options]
 */
export async function buildApp (options = {}) {
  const app = Fastify(options)
  /** The sessions of this process: what the cookie says, and whose it is. @type {Map<string, string>} */
  const sessions = new Map()
  const rooms = new Rooms()

  /** @param {import('fastify').FastifyRequest} request */
  const nameOf = (request) => sessions.get(request.cookies[COOKIE] ?? '')

  /** @param {{ params: unknown }} request */
  const roomOf = (request) => /** @type {{ room: string }} */ (request.params).room

  await app.register(cookie)
  await app.register(files, { root: fileURLToPath(new URL('public', import.meta.url)) })
  await app.register(websocket)

  app.post('/login', {
    schema: { body: Type.Object({ name: Type.String({ minLength: 1, maxLength: 30, pattern: '\\S' }) }) }
  }, async (request, reply) => {
    const { name } = /** @type {{ name: string }} */ (request.body)
    const session = randomUUID()
    sessions.set(session, name)
    reply.setCookie(COOKIE, session, { httpOnly: true, sameSite: 'strict', path: '/' })
    return { name }
  })

  app.post('/logout', async (request, reply) => {
    sessions.delete(request.cookies[COOKIE] ?? '')
    reply.clearCookie(COOKIE, { path: '/' })
    return reply.code(204).send()
  })

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
    onHandshake (conn, request) {
      if (nameOf(request) === undefined) return conn.reject({ code: 401, body: REFUSED })
      conn.acceptWith({ headers: { 'x-session': String(conn.id) } })
    },
    onConnection (conn, request) {
      rooms.join(roomOf(request), conn, nameOf(request) ?? 'somebody')
    },
    onMessage (conn, message) {
      const { text } = /** @type {{ text: string }} */ (message)
      rooms.say(roomOf(conn.request), conn, text)
    },
    onClose (conn) {
      rooms.leave(roomOf(conn.request), conn)
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
    handler (request, reply) {
      const name = nameOf(request)
      if (name === undefined) return reply.code(401).send(REFUSED)
      const room = roomOf(request)
      return reply.send({ room, name, people: rooms.size(room) })
    }
  })

  return app
}

async function main () {
  const app = await buildApp({ logger: { level: 'warn' } })
  const stop = () => { void app.close() }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  const address = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
  process.stdout.write(`The chat is at ${address}\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
