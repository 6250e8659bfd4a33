// How a socket ends on which a response is written.
import type { Socket } from 'node:net'
import { clearTimeout, setTimeout } from '../timers.ts'

const LINGER_TIMEOUT = 2_000 // milliseconds

/**
 * Closes a socket on which a response has been written, so that the client gets all of it.
 *
 * A socket that is closed with unread bytes in its receive buffer sends a reset, which makes the client drop what it has
 * not read yet (RFC 9112 section 9.6). So: end, read and discard what still comes, destroy when the client has ended as
 * well, or after 2 seconds.
 */
export function lingeringClose (socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_TIMEOUT)
  socket.on('close', () => clearTimeout(timer))
  // The socket destroys itself when both sides have ended.
  socket.end()
  socket.resume()
}

/** A client may take its time to read a response, but not stop reading. */
export function limitSending (socket: Socket, timeout: number | false): void {
  if (timeout !== false) socket.setTimeout(timeout, socketOnTimeout)
}

function socketOnTimeout (this: Socket): void {
  this.destroy()
}
