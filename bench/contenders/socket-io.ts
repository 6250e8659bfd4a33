// Its routes are events, and its handshake can be refused with a body of its own making only: /refused is not there.
import { createServer, type IncomingMessage, type Server as HttpServer } from 'node:http'
import { Server, type Socket } from 'socket.io'
import { answerMessage, DEFLATE, isAllowed, MAX_PAYLOAD, type Member, TOPIC } from '../workload.ts'

const subscribers = new Set<Socket>()

export function start (): HttpServer {
  const server = createServer()
  const io = new Server(server, { transports: ['websocket'], maxHttpBufferSize: MAX_PAYLOAD, serveClient: false, perMessageDeflate: DEFLATE, allowRequest })
  io.on('connection', (socket: Socket) => {
    socket.on('echo', (data) => { socket.emit('echo', data) })
    socket.on('json', (message) => { socket.emit('json', answerMessage(message)) })
    socket.on('publish', (text) => { io.to(TOPIC).emit('news', text) })
    if (socket.handshake.query.path !== 'subscribe') return
    void socket.join(TOPIC)
    subscribers.add(socket)
    socket.on('disconnect', () => subscribers.delete(socket))
  })
  return server
}

export function members (): Member[] {
  return [...subscribers].map((socket) => ({
    subscribe (topic) { void socket.join(topic) },
    unsubscribe (topic) { void socket.leave(topic) }
  }))
}

function allowRequest (request: IncomingMessage, callback: (error: string | null, isAccepted: boolean) => void): void {
  callback(null, !request.url?.endsWith('path=checked') || isAllowed(request.headers))
}
