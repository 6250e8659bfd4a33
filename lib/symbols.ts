/** On a raw request that came in through the server's `upgrade` event as a WebSocket handshake: `true`. */
export const kHandshakeRequest: unique symbol = Symbol('fastify-websocket-route.handshakeRequest')

declare module 'node:http' {
  interface IncomingMessage { [kHandshakeRequest]?: true }
}
