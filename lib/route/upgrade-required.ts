// What a plain GET gets on a route that has no `handler` for it.
import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { FST_ERR_WS_UPGRADE_REQUIRED } from '../errors.ts'
import { isInjected } from '../seams/injected-request.ts'
import { kHandshakeRequest } from '../symbols.ts'

/** A hook that lets handshakes pass. With a callback: a promise would make each of them wait for another turn of the event loop. */
export function requireUpgrade ({ raw }: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void {
  if (raw[kHandshakeRequest] === true) {
    done()
    return
  }
  // RFC 9110 section 15.5.22. HTTP/2 knows neither field (RFC 9113 section 8.2.2).
  if (raw.httpVersionMajor === 1) reply.headers({ upgrade: 'websocket', connection: upgradeOption(raw) })
  done(FST_ERR_WS_UPGRADE_REQUIRED(isInjected(raw) ? 'fastify.injectWebSocket(), in place of fastify.inject()' : 'a WebSocket client') as Error)
}

// A Connection field of ours keeps Node from writing its own, which would tell that the connection closes.
function upgradeOption (request: IncomingMessage): string {
  const isLast = request.httpVersionMinor === 0 || /(?:^|,)[ \t]*close[ \t]*(?:,|$)/i.test(request.headers.connection ?? '')
  return isLast ? 'close, Upgrade' : 'Upgrade'
}
