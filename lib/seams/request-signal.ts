// Fastify aborts `request.signal` when the raw request emits 'close' (fastify/lib/request.js, `this.raw.on('close', onAbort)`), and makes
// it when it is asked for: who asks later than that gets one that is never aborted. A handshake may be over long before its client
// leaves, so 'close' is emitted then. Where that does not help, what runs for the handshake runs on, and a warning says so.
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'

let hasWarned = false

/** The client has gone, and 'close' is to come. */
export function makeSignal (request: FastifyRequest): AbortSignal {
  return request.signal
}

/** The handshake is over, and the client is still there. */
export function abortSignal (request: FastifyRequest): void {
  const signal = makeSignal(request)
  abortSignals(request.raw)
  if (signal.aborted || hasWarned) return
  hasWarned = true
  request.log.warn("Fastify does not abort request.signal when the raw request emits 'close': it is not aborted when a handshake has timed out")
}

/** Those that somebody has asked for already. */
export function abortSignals (raw: IncomingMessage): void {
  raw.emit('close')
}
