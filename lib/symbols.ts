/** On a raw request that came in through the server's `upgrade` event as a WebSocket handshake: `true`. */
export const kHandshakeRequest: unique symbol = Symbol('fastify-websocket-route.handshakeRequest')

/** In the `config` of a route of Fastify: the WebSocket route that it was made for. */
export const kWebSocketRoute: unique symbol = Symbol('fastify-websocket-route.webSocketRoute')

/** On a connection: the session that it has when it is open. */
export const kSession: unique symbol = Symbol('fastify-websocket-route.session')

declare module 'node:http' {
  interface IncomingMessage { [kHandshakeRequest]?: true }
}
