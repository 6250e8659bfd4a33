// Frames go to the stream of a connection past the Sender of ws, as long as it holds nothing back itself: it writes each of its
// own frames to that stream at once (ws/lib/sender.js, sendFrame), and keeps no count of them. Where that is not so everything
// goes by the documented send().
import type { IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'
import type { FastifyBaseLogger } from 'fastify'
import { type WebSocket, WebSocketServer } from 'ws'

export const directFrames = { areUsed: true }

let isChecked = false

/** Looks whether ws does so, when it is called first. */
export function checkOnce (log: FastifyBaseLogger): void {
  if (!isChecked) checkDirectFrames(log, new WebSocketServer({ noServer: true, clientTracking: false }))
  isChecked = true
}

/** Looks whether the sockets of a server do so, on a stream in memory. */
export function checkDirectFrames (log: Pick<FastifyBaseLogger, 'warn'>, server: Pick<WebSocketServer, 'handleUpgrade'>): void {
  directFrames.areUsed = directFrames.areUsed && writesAtOnce(server)
  if (!directFrames.areUsed) log.warn('This version of ws does not write its frames at once: messages are sent by its send(), which takes longer')
}

function writesAtOnce (server: Pick<WebSocketServer, 'handleUpgrade'>): boolean {
  const written: Buffer[] = []
  let isWritten = false
  openInMemory(server, written, (socket) => {
    written.length = 0
    socket.send('x')
    isWritten = Buffer.concat(written).equals(Buffer.from([0x81, 1, 0x78]))
  })
  return isWritten
}

/** Opens a socket of a server for as long as `use` takes. What is sent to the client is added to `written`. */
export function openInMemory (server: Pick<WebSocketServer, 'handleUpgrade'>, written: Buffer[], use: (socket: WebSocket) => void): void {
  const stream = new Duplex({
    write (chunk: Buffer, _encoding, callback) {
      written.push(chunk)
      callback()
    }
  })
  const headers = { upgrade: 'websocket', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==', 'sec-websocket-version': '13' }
  server.handleUpgrade({ method: 'GET', url: '/', headers } as unknown as IncomingMessage, stream, Buffer.alloc(0), (socket: WebSocket) => {
    use(socket)
    socket.terminate()
  })
}
