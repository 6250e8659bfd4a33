/** On a raw request that came in through the server's `upgrade` event as a WebSocket handshake: `true`. */
export const kHandshakeRequest: unique symbol = Symbol('fastify-websocket-route.handshakeRequest')

/** In the `config` of a route of Fastify: the WebSocket route that it was made for. */
export const kWebSocketRoute: unique symbol = Symbol('fastify-websocket-route.webSocketRoute')

declare module 'node:http' {
  interface IncomingMessage { [kHandshakeRequest]?: true }
}
