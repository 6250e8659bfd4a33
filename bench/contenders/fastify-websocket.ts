import websocket from '@fastify/websocket'
import Fastify, { type preValidationHookHandler } from 'fastify'
import type { Server } from 'node:http'
import type { WebSocket } from 'ws'
import { answerJson, AUTHORIZATION, HEADERS, MAX_PAYLOAD, REFUSAL } from '../workload.ts'

const subscribers = new Set<WebSocket>()

export async function start (): Promise<Server> {
  const app = Fastify()
  await app.register(websocket, { options: { maxPayload: MAX_PAYLOAD } })
  app.get('/echo', { websocket: true }, echo)
  app.get('/json', { websocket: true }, (client) => {
    client.on('message', (data) => client.send(answerJson(String(data))))
  })
  app.get('/checked', {
    websocket: true,
    schema: { headers: HEADERS },
    onRequest (request, reply, done) {
      if (request.headers.authorization !== AUTHORIZATION) void reply.code(401).send(REFUSAL)
      else done()
    }
  }, echo)
  app.get('/refused', { websocket: true, preValidation: refuse }, echo)
  app.get('/subscribe', { websocket: true }, (client) => {
    subscribers.add(client)
    client.on('close', () => subscribers.delete(client))
  })
  app.get('/publish', { websocket: true }, (client) => {
    client.on('message', (data) => {
      const text = String(data)
      for (const subscriber of subscribers) subscriber.send(text)
    })
  })
  await app.ready()
  return app.server
}

const refuse: preValidationHookHandler = async (_request, reply) => { await reply.code(401).send(REFUSAL) }

function echo (client: WebSocket): void {
  client.on('message', (data, isBinary) => client.send(data, { binary: isBinary }))
}
