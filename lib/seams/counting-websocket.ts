// A WebSocket that sends some of its frames itself: `bufferedAmount` is what waits in ws, and what ws does not know of.
import { WebSocket } from 'ws'

export const kUnsent = Symbol('fastify-websocket-route.unsent')

const bufferedAmount = accessor<number>('bufferedAmount')

export abstract class CountingWebSocket extends WebSocket {
  /** Bytes that ws has not been given yet. @internal */
  abstract readonly [kUnsent]: number
}

// To the types it is a property, in whose place no class may have an accessor.
Object.defineProperties(CountingWebSocket.prototype, {
  bufferedAmount: {
    ...bufferedAmount,
    get (this: CountingWebSocket) { return bufferedByWs(this) + this[kUnsent] }
  }
})

/** What ws and the stream below it have been given and the peer has not taken, in bytes. */
export function bufferedByWs (connection: WebSocket): number {
  // ws has no number for a socket of a server that is not open yet.
  return bufferedAmount.get.call(connection) || 0
}

function accessor<Value> (name: string): PropertyDescriptor & { get (): Value } {
  return Object.getOwnPropertyDescriptor(WebSocket.prototype, name) as PropertyDescriptor & { get (): Value }
}
