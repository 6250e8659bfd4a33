import Fastify, { type FastifyInstance, type onRequestHookHandler } from 'fastify'
import type { Server } from 'node:http'
import websocket, { type WebSocketConnection } from '../../index.ts'
import { AUTHORIZATION, DEFLATE, HEADERS, type Member, type Message, RECEIVE, REFUSAL, SEND, SESSION, SESSION_HEADERS, TOPIC } from '../workload.ts'

const subscribers = new Set<WebSocketConnection>()

export async function start (): Promise<Server> {
  const app = Fastify()
  await app.register(websocket, { perMessageDeflate: DEFLATE })
  addEchoes(app)
  addHandshakes(app)
  app.websocketRoute('/json', {
    schema: { receive: RECEIVE, send: SEND },
    onMessage (conn, message) {
      const { id, text, tags } = message as Message
      conn.sendMessage({ id, text, count: tags.length })
    }
  })
  app.websocketRoute('/subscribe', {
    onConnection (conn) {
      conn.subscribe(TOPIC)
      subscribers.add(conn)
    },
    onClose (conn) { subscribers.delete(conn) }
  })
  app.websocketRoute('/publish', {
    onMessage (_conn, message) { app.websockets.publish(TOPIC, message) }
  })
  await app.ready()
  return app.server
}

export function members (): readonly Member[] {
  return [...subscribers]
}

function addEchoes (app: FastifyInstance): void {
  app.websocketRoute('/echo', { onMessage (conn, message) { conn.send(message) } })
  app.websocketRoute('/async', { async onMessage (conn, message) { conn.send(message) } })
  app.websocketRoute('/listener', {
    onConnection (conn) { conn.on('message', (data, isBinary) => conn.send(data, { binary: isBinary })) }
  })
  app.websocketRoute('/iteration', {
    async onConnection (conn) { for await (const message of conn) conn.send(message as Buffer) }
  })
}

function addHandshakes (app: FastifyInstance): void {
  app.websocketRoute('/checked', { schema: { headers: HEADERS }, onRequest: checkAuthorization, onMessage })
  app.websocketRoute('/session', {
    schema: { headers: HEADERS, response: { 101: { headers: SESSION_HEADERS } } },
    onRequest: checkAuthorization,
    onHandshake (conn) { conn.acceptWith({ headers: { 'x-session': SESSION } }) },
    onMessage
  })
  app.websocketRoute('/refused', {
    onHandshake (conn) { conn.reject({ code: 401, body: REFUSAL }) },
    onMessage
  })
}

const checkAuthorization: onRequestHookHandler = (request, reply, done) => {
  if (request.headers.authorization !== AUTHORIZATION) void reply.code(401).send(REFUSAL)
  else done()
}

function onMessage (): void {}
