// A client may send its upgrade right behind requests that are still being answered. Node gives the socket away at once;
// the answers that it still owes must go out whole, and first.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { forwardDrain, giveSocket } from '../seams/node-response.ts'
import { clearInterval, setInterval } from '../timers.ts'
import { SocketWatch } from './client-watch.ts'

const CHECK_INTERVAL = 1_000 // milliseconds

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

/**
 * Gives the socket to the response and calls back: at once, or when no earlier response has it any more, with what has come meanwhile;
 * never if the client leaves before. With `isRead` false somebody else reads the socket. Returns whether it was at once.
 */
export function takeTurn (response: ServerResponse, socket: Socket, head: Buffer, isRead: boolean, callback: (head: Buffer) => void): boolean {
  const isFree = giveSocket(response, socket)
  if (isFree) callback(head)
  else waitForTurn(response, socket, head, isRead, callback)
  return isFree
}

function waitForTurn (response: ServerResponse, socket: Socket, head: Buffer, isRead: boolean, callback: (head: Buffer) => void): void {
  const earlier = setOf(socket)
  const owed = [...earlier]
  const watch = isRead ? new SocketWatch(socket, head, NOOP) : null
  const stopForwarding = forwardDrain(socket, earlier)
  let timer: NodeJS.Timeout | undefined
  const stop = (): Buffer => {
    clearInterval(timer)
    stopForwarding()
    socket.off('close', leave)
    return watch?.stop() ?? head
  }
  // What nobody has noted, such as the answer of another's server, is asked for now and then.
  const waitOn = (): void => {
    if (earlier.size === 0) timer ??= setInterval(tryAgain, CHECK_INTERVAL)
  }
  const tryAgain = (): void => {
    if (socket.destroyed) return
    if (giveSocket(response, socket)) callback(stop())
    else waitOn()
  }
  const leave = (): void => {
    stop()
    // As Node would have told them.
    for (const { req, writableFinished } of owed) if (!writableFinished) req.destroy()
    response.destroy()
    response.emit('close')
  }
  for (const pending of owed) pending.once('close', tryAgain)
  watch?.start()
  socket.on('close', leave)
  waitOn()
}

const NOOP = (): void => {}

function setOf (socket: Socket): Set<ServerResponse> {
  let responses = responsesOf.get(socket)
  if (responses === undefined) responsesOf.set(socket, responses = new Set())
  return responses
}
