// How a message and a request look with each contender: all but socket.io have plain messages and paths, which has events.
import type { Contender } from './contenders.ts'
import { deflatedFrame, frame, maskedFrame } from './frames.ts'
import { AUTHORIZATION } from './workload.ts'

export type Payload = { readonly binary: Buffer } | { readonly text: string } | { readonly json: object }

export interface Exchange {
  readonly message: Buffer
  readonly answer: Buffer
}

export type Headers = 'minimal' | 'browser' | 'authorized'

/** The message of the client for this path or event, and what the server answers. */
export function exchange (contender: Contender, event: string, sent: Payload, answered = sent): Exchange {
  return { message: clientMessage(contender, event, sent), answer: serverMessage(contender, event, answered) }
}

export function clientMessage (contender: Contender, event: string, payload: Payload): Buffer {
  return maskedFrame(encode(contender, event, payload), isBinary(contender, payload))
}

export function serverMessage (contender: Contender, event: string, payload: Payload): Buffer {
  const toFrame = contender.isDeflating ? deflatedFrame : frame
  return toFrame(encode(contender, event, payload), isBinary(contender, payload))
}

// What is binary elsewhere is text for socket.io, which would need two frames otherwise.
function isBinary ({ isEngineIo }: Contender, payload: Payload): boolean {
  return 'binary' in payload && !isEngineIo
}

function encode ({ isEngineIo }: Contender, event: string, payload: Payload): Buffer {
  if (isEngineIo) return Buffer.from(`42${JSON.stringify([event, 'json' in payload ? payload.json : textOf(payload)])}`)
  return 'binary' in payload ? payload.binary : Buffer.from(textOf(payload))
}

function textOf (payload: Payload): string {
  if ('json' in payload) return JSON.stringify(payload.json)
  return 'text' in payload ? payload.text : payload.binary.toString()
}

/** The head of the handshake for this path. */
export function head ({ isDeflating, isEngineIo }: Contender, path: string, headers: Headers = 'minimal'): Buffer {
  const url = isEngineIo ? `/socket.io/?EIO=4&transport=websocket&path=${path.slice(1)}` : path
  const lines = [`GET ${url} HTTP/1.1`, 'Host: bench.example', ...HANDSHAKE, ...EXTRA[headers], ...isDeflating ? [OFFER] : []]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
}

const HANDSHAKE = [
  'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13'
]

const OFFER = 'Sec-WebSocket-Extensions: permessage-deflate'

// As Chromium sends them, with the cookies of an ordinary site.
const BROWSER = [
  'Pragma: no-cache',
  'Cache-Control: no-cache',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'Origin: http://bench.example',
  'Accept-Encoding: gzip, deflate',
  'Accept-Language: en-GB,en;q=0.9,de;q=0.8',
  'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
  'Cookie: session=6f1c2d9a-1c0e-4f7b-9d5e-2f8f5a7f3a10.4f0aGq3nGmIuVv7uFq1x2hJcYt9b8wQe; theme=dark; consent=1; ' +
    '_ga=GA1.1.1234567890.1700000000; csrf=2d0b8f1e9c4a4d7f8a6b5c3d2e1f0a9b'
]

const EXTRA: Record<Headers, readonly string[]> = {
  minimal: [],
  browser: BROWSER,
  authorized: [...BROWSER, `Authorization: ${AUTHORIZATION}`, 'X-Client-Version: 12']
}
