// A request for another protocol (h2c from `curl --http2`, TLS/1.0) gets its plain HTTP answer, as from a server that
// ignores the Upgrade header (RFC 9110 section 7.8). Node has taken the socket from its parser, so it gets it back: the
// head of the request without its upgrade fields goes in front of what is still to be read. (The server's
// shouldUpgradeCallback of Node 22.21 and 24.9 would do without, but loses a request that follows in the same packet.)
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { lingeringClose } from './lingering-close.ts'

// The fields that belong to the upgrade: RFC 9110 section 7.8, RFC 7540 section 3.2.1.
const UPGRADE_FIELDS = new Set(['upgrade', 'http2-settings', 'connection'])

// What Node keeps of a head, unless the server says otherwise (server.maxHeadersCount).
const MAX_FIELDS = 1_000

const TOO_MANY_FIELDS = '{"error":"Request Header Fields Too Large","message":"Exceeded maximum number of HTTP header fields","statusCode":431}'

/** Seconds after which a client that was refused for want of room may come again (RFC 9110 section 10.2.3). */
export const RETRY_AFTER = '5'

/** As Fastify answers while it closes. */
export const UNAVAILABLE = '{"error":"Service Unavailable","message":"Service Unavailable","statusCode":503}'

/** As Fastify answers an error of the app. */
export function errorBody ({ code, message }: { readonly code: string, readonly message: string }): string {
  return JSON.stringify({ statusCode: 500, code, error: 'Internal Server Error', message })
}

/**
 * Whether all fields of a request are known. Node drops those over its limit without a word, and one of them may say how
 * long the body is: replayed without it, the body would be read as the next request.
 */
export function isHeadWhole ({ maxHeadersCount }: Server, { rawHeaders }: IncomingMessage): boolean {
  // Fastify's second server for localhost always has Node's own limit.
  const limit = Math.min(maxHeadersCount || MAX_FIELDS, MAX_FIELDS)
  return rawHeaders.length < 2 * limit
}

/** Answers a request that cannot be replayed. */
export function refuseHead (response: ServerResponse, socket: Socket): void {
  endWith(response, socket, 431, TOO_MANY_FIELDS)
}

/** Answers an upgrade for which nobody is there. */
export function refuseUpgrade (response: ServerResponse, socket: Socket): void {
  endWith(response.setHeader('retry-after', RETRY_AFTER), socket, 503, UNAVAILABLE)
}

function endWith (response: ServerResponse, socket: Socket, statusCode: number, body: string): void {
  response.once('finish', () => lingeringClose(socket))
  response.writeHead(statusCode, { connection: 'close', 'content-type': 'application/json', 'content-length': body.length })
  response.end(body)
}

/** Answers where no response can be made. */
export function refuseByHand (socket: Socket): void {
  socket.write(`HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: ${RETRY_AFTER}\r\n\r\n`)
  lingeringClose(socket)
}

export function replayAsHttp (server: Server, request: IncomingMessage, socket: Socket, head: Buffer): void {
  socket.unshift(Buffer.concat([Buffer.from(headWithoutUpgrade(request), 'latin1'), head]))
  server.emit(socket instanceof TLSSocket ? 'secureConnection' : 'connection', socket)
  // It may have been paused while it waited for its turn.
  socket.resume()
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
