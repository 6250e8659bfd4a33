// No upgraded socket is ever without a listener for 'error': one that fails would end the process.
import type { Socket } from 'node:net'
import { setTimeout } from '../timers.ts'

/** Whatever reads or writes the socket later has listeners of its own; until then this is the one. */
export function guard (socket: Socket): void {
  socket.on('error', socketOnError)
}

/** Somebody else listens now: a connection need not carry this listener all its life. */
export function unguard (socket: Socket): void {
  socket.off('error', socketOnError)
}

/** Others may take it, and close it as they like. If none has begun to read or to write after so many milliseconds, none will. */
export function leaveToOthers (socket: Socket, timeout: number | false): void {
  guard(socket)
  if (timeout !== false) setTimeout(endUntouched, timeout, socket, socket.bytesWritten).unref()
}

function endUntouched (socket: Socket, bytesWritten: number): void {
  if (socket.bytesWritten === bytesWritten && socket.readableFlowing === null) socket.destroy()
}

function socketOnError (this: Socket): void {
  this.destroy()
}
