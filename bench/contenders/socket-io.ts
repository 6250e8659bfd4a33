// Its routes are events, and its handshake can be refused with a body of its own making only: /refused is not there.
import { createServer, type IncomingMessage, type Server as HttpServer } from 'node:http'
import { Server, type Socket } from 'socket.io'
import { answerMessage, isAllowed, MAX_PAYLOAD, TOPIC } from '../workload.ts'

export function start (): HttpServer {
  const server = createServer()
  const io = new Server(server, { transports: ['websocket'], maxHttpBufferSize: MAX_PAYLOAD, serveClient: false, allowRequest })
  io.on('connection', (socket: Socket) => {
    socket.on('echo', (data) => { socket.emit('echo', data) })
    socket.on('json', (message) => { socket.emit('json', answerMessage(message)) })
    socket.on('publish', (text) => { io.to(TOPIC).emit('news', text) })
    if (socket.handshake.query.path === 'subscribe') void socket.join(TOPIC)
  })
  return server
}

function allowRequest (request: IncomingMessage, callback: (error: string | null, isAccepted: boolean) => void): void {
  callback(null, !request.url?.endsWith('path=checked') || isAllowed(request.headers))
}
