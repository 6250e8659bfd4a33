// All in one table: it is easier to read than two.
import { createError, type FastifyErrorConstructor } from '@fastify/error'

type Coded<Code extends string> = FastifyErrorConstructor<{ code: Code, statusCode: number }, unknown[]>

// ---- Misuse: thrown at registration, or by the call that is wrong --------------------------------------------------

export const FST_ERR_WS_ALREADY_REGISTERED: Coded<'FST_ERR_WS_ALREADY_REGISTERED'> = createError(
  'FST_ERR_WS_ALREADY_REGISTERED',
  'fastify-websocket-route is already registered on this instance or on one that it inherits from: register it once and set what differs on the route',
  500
)

export const FST_ERR_WS_SERVER_TAKEN: Coded<'FST_ERR_WS_SERVER_TAKEN'> = createError(
  'FST_ERR_WS_SERVER_TAKEN',
  'Another Fastify instance takes the handshakes of one of these servers already: give each instance servers of its own',
  500
)

export const FST_ERR_WS_OPTION_INVALID: Coded<'FST_ERR_WS_OPTION_INVALID'> = createError(
  'FST_ERR_WS_OPTION_INVALID',
  'The option "%s" must be %s, got %s',
  500,
  TypeError
)

export const FST_ERR_WS_OPTION_UNKNOWN: Coded<'FST_ERR_WS_OPTION_UNKNOWN'> = createError(
  'FST_ERR_WS_OPTION_UNKNOWN',
  'Unknown option "%s"%s',
  500,
  TypeError
)

export const FST_ERR_WS_CALLBACK_MISSING: Coded<'FST_ERR_WS_CALLBACK_MISSING'> = createError(
  'FST_ERR_WS_CALLBACK_MISSING',
  'The WebSocket route "%s" needs "onHandshake", "onConnection" or "onMessage"',
  500,
  TypeError
)

export const FST_ERR_WS_HANDSHAKE_SETTLED: Coded<'FST_ERR_WS_HANDSHAKE_SETTLED'> = createError(
  'FST_ERR_WS_HANDSHAKE_SETTLED',
  'conn.%s() was called after the handshake was %s: call conn.acceptWith() or conn.reject() once, inside onHandshake',
  500
)

export const FST_ERR_WS_NOT_OPEN: Coded<'FST_ERR_WS_NOT_OPEN'> = createError(
  'FST_ERR_WS_NOT_OPEN',
  'conn.%s() was called during the handshake, when there is no open WebSocket yet: %s',
  500
)

export const FST_ERR_WS_ARGUMENT: Coded<'FST_ERR_WS_ARGUMENT'> = createError(
  'FST_ERR_WS_ARGUMENT',
  'conn.%s() takes %s, got %s',
  500,
  TypeError
)

export const FST_ERR_WS_ACCEPT_HEADERS: Coded<'FST_ERR_WS_ACCEPT_HEADERS'> = createError(
  'FST_ERR_WS_ACCEPT_HEADERS',
  'The headers given to conn.acceptWith() do not fit schema.response[101].headers: %s',
  500
)

export const FST_ERR_WS_REJECT_HEADERS: Coded<'FST_ERR_WS_REJECT_HEADERS'> = createError(
  'FST_ERR_WS_REJECT_HEADERS',
  'The headers given to conn.reject() do not fit schema.response[%s].headers: %s',
  500
)

export const FST_ERR_WS_HEADER_SCHEMA: Coded<'FST_ERR_WS_HEADER_SCHEMA'> = createError(
  'FST_ERR_WS_HEADER_SCHEMA',
  'schema.response[%s].headers of the WebSocket route "%s" cannot be compiled: %s',
  500
)

export const FST_ERR_WS_HEADER_INVALID: Coded<'FST_ERR_WS_HEADER_INVALID'> = createError(
  'FST_ERR_WS_HEADER_INVALID',
  'The header %s given to conn.%s() is not valid: %s',
  500,
  TypeError
)

export const FST_ERR_WS_HEADER_RESERVED: Coded<'FST_ERR_WS_HEADER_RESERVED'> = createError(
  'FST_ERR_WS_HEADER_RESERVED',
  'The header "%s" given to conn.%s() is set by the WebSocket handshake itself (RFC 6455 section 4.2.2): leave it out',
  500,
  TypeError
)

export const FST_ERR_WS_PROTOCOL_NOT_OFFERED: Coded<'FST_ERR_WS_PROTOCOL_NOT_OFFERED'> = createError(
  'FST_ERR_WS_PROTOCOL_NOT_OFFERED',
  'conn.acceptWith() chose the subprotocol %s, but the client offered %s: choose one of conn.offeredProtocols or none',
  500
)

export const FST_ERR_WS_HANDSHAKE_TIMEOUT: Coded<'FST_ERR_WS_HANDSHAKE_TIMEOUT'> = createError(
  'FST_ERR_WS_HANDSHAKE_TIMEOUT',
  'The WebSocket handshake took longer than "handshakeTimeout" (%s ms)',
  503
)

export const FST_ERR_WS_REJECT_CODE: Coded<'FST_ERR_WS_REJECT_CODE'> = createError(
  'FST_ERR_WS_REJECT_CODE',
  'conn.reject() takes a "code" that is an integer from 300 to 599, got %s',
  500,
  RangeError as ErrorConstructor
)

export const FST_ERR_WS_MESSAGE_SCHEMA: Coded<'FST_ERR_WS_MESSAGE_SCHEMA'> = createError(
  'FST_ERR_WS_MESSAGE_SCHEMA',
  'schema.%s of the WebSocket route "%s" cannot be compiled: %s',
  500
)

export const FST_ERR_WS_SEND_INVALID: Coded<'FST_ERR_WS_SEND_INVALID'> = createError(
  'FST_ERR_WS_SEND_INVALID',
  'The message cannot be serialised: %s',
  500,
  TypeError
)

export const FST_ERR_WS_TOPIC: Coded<'FST_ERR_WS_TOPIC'> = createError(
  'FST_ERR_WS_TOPIC',
  'A topic must be a string of 1 to 255 bytes, got %s',
  500,
  TypeError
)

export const FST_ERR_WS_CLOSE_CODE: Coded<'FST_ERR_WS_CLOSE_CODE'> = createError(
  'FST_ERR_WS_CLOSE_CODE',
  'conn.close() takes a code that may be sent, 1000 to 1003, 1007 to 1014 or 3000 to 4999, got %s (RFC 6455 section 7.4)',
  500,
  RangeError as ErrorConstructor
)

export const FST_ERR_WS_CLOSE_REASON: Coded<'FST_ERR_WS_CLOSE_REASON'> = createError(
  'FST_ERR_WS_CLOSE_REASON',
  'conn.close() takes a reason that is a string or a Buffer of at most 123 bytes, got %s (RFC 6455 section 5.5)',
  500,
  RangeError as ErrorConstructor
)

export const FST_ERR_WS_CONTROL_SIZE: Coded<'FST_ERR_WS_CONTROL_SIZE'> = createError(
  'FST_ERR_WS_CONTROL_SIZE',
  'conn.%s() takes at most 125 bytes, got %s (RFC 6455 section 5.5)',
  500,
  RangeError as ErrorConstructor
)

export const FST_ERR_WS_CONNECTION_KEY: Coded<'FST_ERR_WS_CONNECTION_KEY'> = createError(
  'FST_ERR_WS_CONNECTION_KEY',
  'keyGenerator(request) must return a string, or a promise for one, got %s',
  500,
  TypeError
)

export const FST_ERR_WS_ROUTE_UNKNOWN: Coded<'FST_ERR_WS_ROUTE_UNKNOWN'> = createError(
  'FST_ERR_WS_ROUTE_UNKNOWN',
  'There is no WebSocket route %s: give the path as it was declared, with its prefix. There are: %s',
  500
)

export const FST_ERR_WS_UNEXPECTED_101: Coded<'FST_ERR_WS_UNEXPECTED_101'> = createError(
  'FST_ERR_WS_UNEXPECTED_101',
  'A reply with the status 101 was sent to a handshake, but not by a WebSocket route: use fastify.websocketRoute() and conn.acceptWith()',
  500
)

// ---- What is wrong with a request: answered by the error handler ----------------------------------------------------

export const FST_ERR_WS_UPGRADE_REQUIRED: Coded<'FST_ERR_WS_UPGRADE_REQUIRED'> = createError(
  'FST_ERR_WS_UPGRADE_REQUIRED',
  'This is a WebSocket endpoint: connect with a WebSocket client',
  426
)

export const FST_ERR_WS_METHOD: Coded<'FST_ERR_WS_METHOD'> = createError(
  'FST_ERR_WS_METHOD',
  'A WebSocket handshake must be a GET request, got %s (RFC 6455 section 4.2.1)',
  405
)

export const FST_ERR_WS_HTTP_VERSION: Coded<'FST_ERR_WS_HTTP_VERSION'> = createError(
  'FST_ERR_WS_HTTP_VERSION',
  'A WebSocket handshake needs HTTP/1.1, got HTTP/%s (RFC 6455 section 4.2.1)',
  426
)

export const FST_ERR_WS_HOST: Coded<'FST_ERR_WS_HOST'> = createError(
  'FST_ERR_WS_HOST',
  'A WebSocket handshake must have exactly one Host header, got %s (RFC 6455 section 4.2.1)',
  400
)

export const FST_ERR_WS_BODY: Coded<'FST_ERR_WS_BODY'> = createError(
  'FST_ERR_WS_BODY',
  'A WebSocket handshake must not have a body, got %s',
  400
)

export const FST_ERR_WS_VERSION: Coded<'FST_ERR_WS_VERSION'> = createError(
  'FST_ERR_WS_VERSION',
  'Sec-WebSocket-Version must be 13, got %s (RFC 6455 section 4.2.1)',
  426
)

export const FST_ERR_WS_KEY: Coded<'FST_ERR_WS_KEY'> = createError(
  'FST_ERR_WS_KEY',
  'Sec-WebSocket-Key must be 16 bytes in base64, got %s (RFC 6455 section 4.2.1)',
  400
)

export const FST_ERR_WS_PROTOCOL_LIST: Coded<'FST_ERR_WS_PROTOCOL_LIST'> = createError(
  'FST_ERR_WS_PROTOCOL_LIST',
  'Sec-WebSocket-Protocol must be a list of different tokens, got %s (RFC 6455 section 4.2.1)',
  400
)

// ---- What the server does not want: answered by the error handler ---------------------------------------------------

export const FST_ERR_WS_ORIGIN: Coded<'FST_ERR_WS_ORIGIN'> = createError(
  'FST_ERR_WS_ORIGIN',
  'The origin %s may not open this WebSocket: set the option "origin" of the route or the plugin to allow it',
  403
)

export const FST_ERR_WS_MAX_CONNECTIONS: Coded<'FST_ERR_WS_MAX_CONNECTIONS'> = createError(
  'FST_ERR_WS_MAX_CONNECTIONS',
  'The %s has as many WebSocket connections as it takes ("maxConnections": %s)',
  503
)

export const FST_ERR_WS_MAX_CONNECTIONS_PER_KEY: Coded<'FST_ERR_WS_MAX_CONNECTIONS_PER_KEY'> = createError(
  'FST_ERR_WS_MAX_CONNECTIONS_PER_KEY',
  'The %s takes no more WebSocket connections from this client ("maxConnectionsPerKey": %s)',
  429
)

export const FST_ERR_WS_MAX_PENDING_HANDSHAKES: Coded<'FST_ERR_WS_MAX_PENDING_HANDSHAKES'> = createError(
  'FST_ERR_WS_MAX_PENDING_HANDSHAKES',
  'The %s is deciding on as many WebSocket handshakes as it takes at once ("maxPendingHandshakes": %s)',
  503
)

export const FST_ERR_WS_CLOSING: Coded<'FST_ERR_WS_CLOSING'> = createError(
  'FST_ERR_WS_CLOSING',
  'The server takes no more WebSocket connections, because it is about to close',
  503
)

// ---- What fastify.injectWebSocket() rejects with --------------------------------------------------------------------

export const FST_ERR_WS_REFUSED: Coded<'FST_ERR_WS_REFUSED'> = createError(
  'FST_ERR_WS_REFUSED',
  'The WebSocket handshake for %s was refused with %s: %s',
  500
)

export const FST_ERR_WS_INJECT: Coded<'FST_ERR_WS_INJECT'> = createError(
  'FST_ERR_WS_INJECT',
  'The WebSocket handshake for %s got no answer: %s',
  500
)

// ---- What happens to a connection: given to onError -----------------------------------------------------------------

export const FST_ERR_WS_MESSAGE_INVALID: Coded<'FST_ERR_WS_MESSAGE_INVALID'> = createError(
  'FST_ERR_WS_MESSAGE_INVALID',
  'A message does not fit schema.receive: %s',
  400
)

export const FST_ERR_WS_SLOW_CONSUMER: Coded<'FST_ERR_WS_SLOW_CONSUMER'> = createError(
  'FST_ERR_WS_SLOW_CONSUMER',
  'The peer reads too slowly, so the connection was terminated: %s bytes wait to be sent, more than "maxBufferedAmount" (%s)',
  500
)

export const FST_ERR_WS_CLOSED: Coded<'FST_ERR_WS_CLOSED'> = createError(
  'FST_ERR_WS_CLOSED',
  'The connection was closed with %s',
  500
)
