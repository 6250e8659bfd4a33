// A request for another protocol (h2c from `curl --http2`, TLS/1.0) gets its plain HTTP answer, as from a server that
// ignores the Upgrade header (RFC 9110 section 7.8). Node has taken the socket from its parser, so it gets it back: the
// head of the request without its upgrade fields goes in front of what is still to be read. (The server's
// shouldUpgradeCallback of Node 22.21 and 24.9 would do without, but loses a request that follows in the same packet.)
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

// The fields that belong to the upgrade: RFC 9110 section 7.8, RFC 7540 section 3.2.1.
const UPGRADE_FIELDS = new Set(['upgrade', 'http2-settings', 'connection'])

export function replayAsHttp (server: Server, request: IncomingMessage, socket: Socket, head: Buffer): void {
  socket.unshift(Buffer.concat([Buffer.from(headWithoutUpgrade(request), 'latin1'), head]))
  server.emit(socket instanceof TLSSocket ? 'secureConnection' : 'connection', socket)
}

function headWithoutUpgrade (request: IncomingMessage): string {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  for (const [i, name] of request.rawHeaders.entries()) {
    if (i % 2 === 0 && !UPGRADE_FIELDS.has(name.toLowerCase())) lines.push(`${name}: ${request.rawHeaders[i + 1]}`)
  }
  const options = String(request.headers.connection).split(',').map((option) => option.trim())
    .filter((option) => option !== '' && !UPGRADE_FIELDS.has(option.toLowerCase()))
  if (options.length > 0) lines.push(`Connection: ${options.join(', ')}`)
  return lines.join('\r\n') + '\r\n\r\n'
}
