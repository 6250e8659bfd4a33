// No upgraded socket is ever without a listener for 'error': one that fails would end the process.
import type { Socket } from 'node:net'

/** Whatever reads or writes the socket later has listeners of its own; until then this is the one. */
export function guard (socket: Socket): void {
  socket.on('error', socketOnError)
}

/** Somebody else listens. What no connection needs for its life it need not keep. */
export function unguard (socket: Socket): void {
  socket.off('error', socketOnError)
}

function socketOnError (this: Socket): void {
  this.destroy()
}
