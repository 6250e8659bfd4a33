// Every error that users can see. Each %s is an argument of its constructor.
import { createError, type FastifyErrorConstructor } from '@fastify/error'

type Coded<Code extends string> = FastifyErrorConstructor<{ code: Code, statusCode: number }, unknown[]>

function define<Code extends string> (code: Code, statusCode: number, message: string, Base?: ErrorConstructor): Coded<Code> {
  return createError(code, message, statusCode, Base)
}

// A client can have as many of these as it wants. Where it was noticed is no news, and takes longer to find out than all else.
function refusal<Code extends string> (code: Code, statusCode: number, message: string): Coded<Code> {
  return createError(code, message, statusCode, Error, false)
}

// ---- Misuse: thrown at registration, or by the call that is wrong --------------------------------------------------

export const FST_ERR_WS_ALREADY_REGISTERED = define('FST_ERR_WS_ALREADY_REGISTERED', 500,
  'fastify-websocket-route is already registered on this instance or on one that it inherits from: register it once and set what differs on the route')
export const FST_ERR_WS_SERVER_TAKEN = define('FST_ERR_WS_SERVER_TAKEN', 500,
  'Another Fastify instance takes the handshakes of one of these servers already: give each instance servers of its own')
export const FST_ERR_WS_OPTION_INVALID = define('FST_ERR_WS_OPTION_INVALID', 500,
  'The option "%s" must be %s, got %s', TypeError)
export const FST_ERR_WS_OPTION_UNKNOWN = define('FST_ERR_WS_OPTION_UNKNOWN', 500,
  'Unknown option "%s"%s%s', TypeError)
export const FST_ERR_WS_FOREIGN_ROUTE = define('FST_ERR_WS_FOREIGN_ROUTE', 500,
  'The route "%s" has "%s", an option of @fastify/websocket, which is not registered here: write fastify.websocketRoute("%s", { onConnection (conn, request) { … } })')
export const FST_ERR_WS_CALLBACK_MISSING = define('FST_ERR_WS_CALLBACK_MISSING', 500,
  'The WebSocket route "%s" needs "onHandshake", "onConnection" or "onMessage"', TypeError)
export const FST_ERR_WS_HANDSHAKE_SETTLED = define('FST_ERR_WS_HANDSHAKE_SETTLED', 500,
  'conn.%s() was called after the handshake was %s: call conn.acceptWith() or conn.reject() once, inside onHandshake')
export const FST_ERR_WS_HANDSHAKE_RESULT = define('FST_ERR_WS_HANDSHAKE_RESULT', 500,
  'onHandshake may return nothing, or an object that becomes conn.data, got %s: to refuse a handshake call conn.reject()', TypeError)
export const FST_ERR_WS_NOT_OPEN = define('FST_ERR_WS_NOT_OPEN', 500,
  'conn.%s() was called during the handshake, when there is no open WebSocket yet: %s')
export const FST_ERR_WS_ARGUMENT = define('FST_ERR_WS_ARGUMENT', 500,
  'conn.%s() takes %s, got %s', TypeError)
export const FST_ERR_WS_ACCEPT_HEADERS = define('FST_ERR_WS_ACCEPT_HEADERS', 500,
  'The headers given to conn.acceptWith() do not fit schema.response[101].headers: %s')
export const FST_ERR_WS_REJECT_HEADERS = define('FST_ERR_WS_REJECT_HEADERS', 500,
  'The headers given to conn.reject() do not fit schema.response[%s].headers: %s')
export const FST_ERR_WS_HEADER_SCHEMA = define('FST_ERR_WS_HEADER_SCHEMA', 500,
  'schema.response[%s].headers of the WebSocket route "%s" cannot be compiled: %s')
export const FST_ERR_WS_HEADER_INVALID = define('FST_ERR_WS_HEADER_INVALID', 500,
  'The header %s given to conn.%s() is not valid: %s', TypeError)
export const FST_ERR_WS_HEADER_RESERVED = define('FST_ERR_WS_HEADER_RESERVED', 500,
  'The header "%s" given to conn.%s() is set by the WebSocket handshake itself (RFC 6455 section 4.2.2): leave it out', TypeError)
export const FST_ERR_WS_PROTOCOL_NOT_OFFERED = define('FST_ERR_WS_PROTOCOL_NOT_OFFERED', 500,
  'conn.acceptWith() chose the subprotocol %s, but the client offered %s: choose one of conn.offeredProtocols or none')
export const FST_ERR_WS_REJECT_CODE = define('FST_ERR_WS_REJECT_CODE', 500,
  'conn.reject() takes a "code" that is an integer from 300 to 599, got %s', RangeError)
export const FST_ERR_WS_MESSAGE_SCHEMA = define('FST_ERR_WS_MESSAGE_SCHEMA', 500,
  'schema.%s of the WebSocket route "%s" cannot be compiled: %s')
export const FST_ERR_WS_SEND_INVALID = define('FST_ERR_WS_SEND_INVALID', 500,
  'The message cannot be serialised%s: %s', TypeError)
export const FST_ERR_WS_TOPIC = define('FST_ERR_WS_TOPIC', 500,
  'A topic must be a string of 1 to 255 bytes, got %s', TypeError)
export const FST_ERR_WS_CLOSE_CODE = define('FST_ERR_WS_CLOSE_CODE', 500,
  'conn.close() takes a code that may be sent, 1000 to 1003, 1007 to 1014 or 3000 to 4999, got %s (RFC 6455 section 7.4)', RangeError)
export const FST_ERR_WS_CLOSE_REASON = define('FST_ERR_WS_CLOSE_REASON', 500,
  'conn.close() takes a reason that is a string or a Buffer of at most 123 bytes, got %s (RFC 6455 section 5.5)', RangeError)
export const FST_ERR_WS_CONTROL_SIZE = define('FST_ERR_WS_CONTROL_SIZE', 500,
  'conn.%s() takes at most 125 bytes, got %s (RFC 6455 section 5.5)', RangeError)
export const FST_ERR_WS_CONNECTION_KEY = define('FST_ERR_WS_CONNECTION_KEY', 500,
  'keyGenerator(request) must return a string, or a promise for one, got %s', TypeError)
export const FST_ERR_WS_ROUTE_UNKNOWN = define('FST_ERR_WS_ROUTE_UNKNOWN', 500,
  'There is no WebSocket route %s: give the path as it was declared, with its prefix. There are: %s')
export const FST_ERR_WS_UNEXPECTED_101 = define('FST_ERR_WS_UNEXPECTED_101', 500,
  'A reply with the status 101 was sent to a handshake, but not by a WebSocket route: use fastify.websocketRoute() and conn.acceptWith()')

// ---- What is wrong with a request: answered by the error handler ----------------------------------------------------

export const FST_ERR_WS_UPGRADE_REQUIRED = refusal('FST_ERR_WS_UPGRADE_REQUIRED', 426,
  'This is a WebSocket endpoint: connect with %s')
export const FST_ERR_WS_METHOD = refusal('FST_ERR_WS_METHOD', 405,
  'A WebSocket handshake must be a GET request, got %s (RFC 6455 section 4.2.1)')
export const FST_ERR_WS_HTTP_VERSION = refusal('FST_ERR_WS_HTTP_VERSION', 426,
  'A WebSocket handshake needs HTTP/1.1, got HTTP/%s (RFC 6455 section 4.2.1)')
export const FST_ERR_WS_HOST = refusal('FST_ERR_WS_HOST', 400,
  'A WebSocket handshake must have exactly one Host header, got %s (RFC 6455 section 4.2.1)')
export const FST_ERR_WS_BODY = refusal('FST_ERR_WS_BODY', 400,
  'A WebSocket handshake must not have a body, got %s')
export const FST_ERR_WS_VERSION = refusal('FST_ERR_WS_VERSION', 426,
  'Sec-WebSocket-Version must be 13, got %s (RFC 6455 section 4.2.1)')
export const FST_ERR_WS_KEY = refusal('FST_ERR_WS_KEY', 400,
  'Sec-WebSocket-Key must be 16 bytes in base64, got %s (RFC 6455 section 4.2.1)')
export const FST_ERR_WS_PROTOCOL_LIST = refusal('FST_ERR_WS_PROTOCOL_LIST', 400,
  'Sec-WebSocket-Protocol must be a list of different tokens, got %s (RFC 6455 section 4.2.1)')

// ---- What the server does not want: answered by the error handler ---------------------------------------------------

export const FST_ERR_WS_ORIGIN = refusal('FST_ERR_WS_ORIGIN', 403,
  'The origin %s may not open this WebSocket: set the option "origin" of the route or the plugin to allow it')
export const FST_ERR_WS_MAX_CONNECTIONS = refusal('FST_ERR_WS_MAX_CONNECTIONS', 503,
  'The %s has as many WebSocket connections as it takes ("maxConnections": %s)')
export const FST_ERR_WS_MAX_CONNECTIONS_PER_KEY = refusal('FST_ERR_WS_MAX_CONNECTIONS_PER_KEY', 429,
  'The %s takes no more WebSocket connections from this client ("maxConnectionsPerKey": %s)')
export const FST_ERR_WS_MAX_PENDING_HANDSHAKES = refusal('FST_ERR_WS_MAX_PENDING_HANDSHAKES', 503,
  'The %s is deciding on as many WebSocket handshakes as it takes at once ("maxPendingHandshakes": %s)')
export const FST_ERR_WS_HANDSHAKE_TIMEOUT = refusal('FST_ERR_WS_HANDSHAKE_TIMEOUT', 503,
  'The WebSocket handshake took longer than "handshakeTimeout" (%s ms)')
export const FST_ERR_WS_CLOSING = refusal('FST_ERR_WS_CLOSING', 503,
  'The server takes no more WebSocket connections, because it is about to close')

// ---- What fastify.injectWebSocket() and its clients reject with ------------------------------------------------------

export const FST_ERR_WS_REFUSED = define('FST_ERR_WS_REFUSED', 500,
  'The WebSocket handshake for %s was refused with %s: %s')
export const FST_ERR_WS_INJECT = define('FST_ERR_WS_INJECT', 500,
  'The WebSocket handshake for %s got no answer: %s')
export const FST_ERR_WS_INJECT_ANSWER = define('FST_ERR_WS_INJECT_ANSWER', 500,
  'The WebSocket handshake for %s was accepted by the server, but the client refused the 101: %s')
export const FST_ERR_WS_NEXT = define('FST_ERR_WS_NEXT', 500,
  'client.next() got no message: %s, %s, %s')
export const FST_ERR_WS_NEXT_JSON = define('FST_ERR_WS_NEXT_JSON', 500,
  'client.nextJson() got what is no JSON: %s')

// ---- What happens to a connection: given to onError -----------------------------------------------------------------

export const FST_ERR_WS_MESSAGE_INVALID = define('FST_ERR_WS_MESSAGE_INVALID', 400,
  'A message does not fit schema.receive: %s')
export const FST_ERR_WS_SLOW_CONSUMER = define('FST_ERR_WS_SLOW_CONSUMER', 500,
  'The peer reads too slowly, so the connection was terminated: %s bytes wait to be sent, more than "maxBufferedAmount" (%s)')
export const FST_ERR_WS_CLOSED = define('FST_ERR_WS_CLOSED', 500,
  'The connection was closed with %s')
