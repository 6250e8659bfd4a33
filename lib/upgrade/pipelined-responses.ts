// A client may send its upgrade right behind requests that are still being answered. Node gives the socket away at once;
// the answers that it still owes must go out whole, and first.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { clearInterval, setInterval } from '../timers.ts'

const RETRY_INTERVAL = 10 // milliseconds

const responsesOf = new WeakMap<Socket, Set<ServerResponse>>()

/**
 * Remembers a response until it is done. Servers tell of theirs, and so do requests that come in through one that is not
 * known: Fastify opens a second one for localhost.
 */
export function noteResponse (request: IncomingMessage, response: ServerResponse): void {
  if (request.httpVersionMajor !== 1) return
  const responses = setOf(request.socket)
  if (responses.has(response)) return
  responses.add(response)
  response.once('close', () => responses.delete(response))
}

/** Gives the socket to the response as soon as no earlier response has it, then calls back; never if the client leaves before. */
export function whenAnswered (socket: Socket, response: ServerResponse, callback: () => void): void {
  if (tryAssign(socket, response)) {
    callback()
    return
  }
  const earlier = setOf(socket)
  // Node stops to tell the responses when the socket drains as soon as it has given the socket away.
  const forwardDrain = (): void => {
    for (const pending of earlier) if (pending.writableNeedDrain) pending.emit('drain')
  }
  const tryAgain = (): void => {
    if (!tryAssign(socket, response)) return
    stop()
    callback()
  }
  const leave = (): void => {
    stop()
    response.destroy()
    response.emit('close')
  }
  // A timer, because an earlier response may be one that nobody has noted.
  const timer = setInterval(tryAgain, RETRY_INTERVAL)
  const stop = (): void => {
    clearInterval(timer)
    socket.off('drain', forwardDrain)
    socket.off('close', leave)
  }
  socket.on('drain', forwardDrain)
  socket.on('close', leave)
}

function setOf (socket: Socket): Set<ServerResponse> {
  let responses = responsesOf.get(socket)
  if (responses === undefined) responsesOf.set(socket, responses = new Set())
  return responses
}

// assignSocket() throws while another response has the socket; it is the only way to ask.
function tryAssign (socket: Socket, response: ServerResponse): boolean {
  try {
    response.assignSocket(socket)
    return true
  } catch {
    return false
  }
}
