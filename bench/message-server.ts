// One contender in a process of its own. The parent says which; the child answers with its port, and with the CPU time
// that it has used whenever it is asked.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Ajv } from 'ajv'
import Fastify from 'fastify'
import { WebSocketServer } from 'ws'
import websocket from '../index.ts'

const receive = {
  type: 'object',
  required: ['id', 'text', 'tags'],
  additionalProperties: false,
  properties: {
    id: { type: 'integer', minimum: 0 },
    text: { type: 'string', maxLength: 500 },
    tags: { type: 'array', maxItems: 10, items: { type: 'string' } }
  }
} as const
const send = { type: 'object', properties: { id: { type: 'integer' }, text: { type: 'string' }, count: { type: 'integer' } } } as const

interface Message { id: number, text: string, tags: string[] }

function startWs (): Promise<number> {
  // The same settings as those of Fastify's own validator.
  const validate = new Ajv({ coerceTypes: 'array', useDefaults: true, removeAdditional: true, allErrors: false }).compile(receive)
  const server = createServer()
  new WebSocketServer({ server, maxPayload: 1_048_576 }).on('connection', (socket, request) => {
    socket.on('error', () => {})
    if (request.url === '/json') {
      socket.on('message', (data) => {
        const message = JSON.parse(String(data)) as Message
        if (!validate(message)) throw new Error('not valid')
        socket.send(JSON.stringify({ id: message.id, text: message.text, count: message.tags.length }))
      })
    } else {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    }
  })
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
}

async function startOurs (): Promise<number> {
  const app = Fastify()
  await app.register(websocket)
  app.websocketRoute('/listener', {
    onConnection (conn) { conn.on('message', (data, isBinary) => conn.send(data, { binary: isBinary })) }
  })
  app.websocketRoute('/on-message', { onMessage (conn, message) { conn.send(message) } })
  app.websocketRoute('/async', { async onMessage (conn, message) { conn.send(message) } })
  app.websocketRoute('/iteration', {
    async onConnection (conn) { for await (const message of conn) conn.send(message as Buffer) }
  })
  app.websocketRoute('/json', {
    schema: { receive, send },
    onMessage (conn, message) {
      const { id, text, tags } = message as Message
      conn.sendMessage({ id, text, count: tags.length })
    }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as AddressInfo).port
}

const port = await (process.argv[2] === 'ws' ? startWs() : startOurs())
process.on('message', () => process.send?.(process.cpuUsage()))
process.on('disconnect', () => process.exit())
process.send?.(port)
