import type { IncomingMessage } from 'node:http'
import type { FastifyError } from '@fastify/error'
import {
  FST_ERR_WS_BODY, FST_ERR_WS_HOST, FST_ERR_WS_HTTP_VERSION, FST_ERR_WS_KEY,
  FST_ERR_WS_PROTOCOL_LIST, FST_ERR_WS_VERSION
} from '../errors.ts'
import { parseProtocols } from './subprotocol.ts'

/** A refusal of the request itself, with the headers that its response must carry. */
interface HandshakeError extends FastifyError { headers?: Record<string, string> }

export type HandshakeCheck =
  | { readonly error: HandshakeError }
  | { readonly error: null, readonly offeredProtocols: readonly string[] }

// The base64 form of 16 bytes: RFC 6455 section 4.2.1, item 5.
const KEY = /^[A-Za-z0-9+/]{22}==$/

/** Checks a GET request against RFC 6455 section 4.2.1 and returns what the client offered, or what is wrong with it. */
export function checkHandshake (request: IncomingMessage): HandshakeCheck {
  const error = checkHttpVersion(request) ?? checkHost(request) ?? checkBody(request) ?? checkWebSocketHeaders(request)
  if (error !== null) return { error }

  const offer = request.headers['sec-websocket-protocol']
  if (offer === undefined) return NOTHING_OFFERED
  const offeredProtocols = parseProtocols(offer)
  if (offeredProtocols === null) return { error: FST_ERR_WS_PROTOCOL_LIST(quote(offer)) }
  return { error: null, offeredProtocols }
}

const NOTHING_OFFERED: HandshakeCheck = Object.freeze({ error: null, offeredProtocols: Object.freeze([]) })

function checkHttpVersion (request: IncomingMessage): HandshakeError | null {
  // Node's parser lets 0.9, 1.0 and 2.0 pass as well.
  return request.httpVersion === '1.1' ? null : withHeaders(FST_ERR_WS_HTTP_VERSION(request.httpVersion), { upgrade: 'websocket' })
}

function checkHost (request: IncomingMessage): HandshakeError | null {
  // Node keeps the first of several Host lines in `headers`; only the raw ones tell how many there were.
  const { rawHeaders } = request
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.length === 4 && rawHeaders[i]?.toLowerCase() === 'host') hosts++
  }
  return hosts === 1 ? null : FST_ERR_WS_HOST(hosts === 0 ? 'none' : String(hosts))
}

function checkBody (request: IncomingMessage): HandshakeError | null {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (encoding !== undefined) return FST_ERR_WS_BODY(`Transfer-Encoding: ${encoding}`)
  if (length !== undefined && Number(length) !== 0) return FST_ERR_WS_BODY(`Content-Length: ${length}`)
  return null
}

function checkWebSocketHeaders (request: IncomingMessage): HandshakeError | null {
  const { 'sec-websocket-version': version, 'sec-websocket-key': key } = request.headers
  if (version !== '13') {
    // RFC 6455 section 4.4: the server names the versions that it speaks.
    return withHeaders(FST_ERR_WS_VERSION(quote(version)), { upgrade: 'websocket', 'sec-websocket-version': '13' })
  }
  if (key === undefined || !KEY.test(key)) return FST_ERR_WS_KEY(quote(key))
  return null
}

function quote (value: string | undefined): string {
  return value === undefined ? 'none' : JSON.stringify(value)
}

function withHeaders (error: HandshakeError, headers: Record<string, string>): HandshakeError {
  error.headers = headers
  return error
}
