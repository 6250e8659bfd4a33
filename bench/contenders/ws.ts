// Bare ws on node:http: what others have of a framework is done by hand.
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { answerJson, DEFLATE, isAllowed, MAX_PAYLOAD, REFUSAL, sessionHeaders } from '../workload.ts'

const subscribers = new Set<WebSocket>()
const websocketServer = new WebSocketServer({ noServer: true, maxPayload: MAX_PAYLOAD, perMessageDeflate: DEFLATE })

export function start (): Server {
  websocketServer.on('connection', handleConnection)
  websocketServer.on('headers', (headers, request) => {
    if (request.url !== '/session') return
    for (const [name, value] of Object.entries(sessionHeaders())) headers.push(`${name}: ${value}`)
  })
  return createServer().on('upgrade', handleUpgrade)
}

function handleUpgrade (request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', socketOnError)
  const mustBeAllowed = request.url === '/checked' || request.url === '/session'
  if (request.url === '/refused' || (mustBeAllowed && !isAllowed(request.headers))) return refuse(socket)
  socket.removeListener('error', socketOnError)
  websocketServer.handleUpgrade(request, socket, head, (client) => { websocketServer.emit('connection', client, request) })
}

function refuse (socket: Duplex): void {
  const body = JSON.stringify(REFUSAL)
  socket.once('finish', () => socket.destroy())
  socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n' +
    `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
}

function handleConnection (client: WebSocket, request: IncomingMessage): void {
  client.on('error', () => {})
  switch (request.url) {
    case '/json':
      client.on('message', (data) => client.send(answerJson(String(data))))
      break
    case '/subscribe':
      subscribers.add(client)
      client.on('close', () => subscribers.delete(client))
      break
    case '/publish':
      client.on('message', (data) => {
        const text = String(data)
        for (const subscriber of subscribers) subscriber.send(text)
      })
      break
    default:
      client.on('message', (data, isBinary) => client.send(data, { binary: isBinary }))
  }
}

function socketOnError (): void {}
