// The response to an upgrade. Node makes none for a request whose socket it gives away, and has no documented way to make one. Here it
// is made as its own server makes those of plain requests (lib/_http_server.js: `new ServerResponse(req)` and `res.assignSocket(socket)`
// in parserOnIncoming(), `res.detachSocket(socket)` in resOnFinish(), `msg.emit('drain')` in socketOnDrain()).
import { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'

const { writeHead, write, end } = ServerResponse.prototype as unknown as Record<'writeHead' | 'write' | 'end', (this: ServerResponse, ...args: unknown[]) => unknown>

/** Node's own methods, without their overloads. */
export const ofResponse = { writeHead, write, end }

let isTrue: boolean | undefined

/** Whether all of that is so, which is tried once. Where it is not, no response can be made. */
export function canMakeResponses (): boolean {
  isTrue ??= tryOut()
  return isTrue
}

export function createResponse (request: IncomingMessage): ServerResponse {
  return new ServerResponse(request)
}

/** Gives a response its socket; `false` if another one has that, in which case assignSocket() throws. It is the only way to ask. */
export function giveSocket (response: ServerResponse, socket: Socket): boolean {
  try {
    ServerResponse.prototype.assignSocket.call(response, socket)
    return true
  } catch {
    return false
  }
}

/** Takes the socket from a response, which writes nothing to it any more. */
export function takeSocket (response: ServerResponse, socket: Socket): void {
  ServerResponse.prototype.detachSocket.call(response, socket)
}

/** Node tells no response any more that its socket drains once it has given the socket away. Returns what ends the forwarding. */
export function forwardDrain (socket: Socket, responses: Iterable<ServerResponse>): () => void {
  const tell = (): void => {
    for (const response of responses) {
      if (response.socket !== socket) continue
      // Of its own, it would go on to say that it needs a 'drain'.
      Object.defineProperty(response, 'writableNeedDrain', needDrain)
      response.emit('drain')
    }
  }
  socket.on('drain', tell)
  return () => { socket.off('drain', tell) }
}

const needDrain: PropertyDescriptor = {
  configurable: true,
  get (this: ServerResponse) { return this.socket?.writableNeedDrain === true }
}

function tryOut (): boolean {
  try {
    const socket = new PassThrough() as unknown as Socket
    const [first, second] = [0, 1].map(() => createResponse(new IncomingMessage(socket))) as [ServerResponse, ServerResponse]
    if (!giveSocket(first, socket) || giveSocket(second, socket) || first.socket !== socket) return false
    first.writeHead(204).flushHeaders()
    takeSocket(first, socket)
    return String(socket.read()).startsWith('HTTP/1.1 204 ') && giveSocket(second, socket)
  } catch {
    return false
  }
}
