// A WebSocket that sends some of its frames itself: its `bufferedAmount` is what waits in ws, and what ws does not know of.
import { WebSocket } from 'ws'

const { get: bufferedAmount, ...descriptor } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'bufferedAmount') as PropertyDescriptor & { get (): number }

export abstract class CountingWebSocket extends WebSocket {
  /** Bytes that ws has not been given yet. @internal */
  abstract readonly unsent: number
}

// To the types it is a property, in whose place no class may have an accessor.
Object.defineProperty(CountingWebSocket.prototype, 'bufferedAmount', {
  ...descriptor,
  get (this: CountingWebSocket) { return bufferedByWs(this) + this.unsent }
})

/** What ws and the stream below it have been given and the peer has not taken, in bytes. */
export function bufferedByWs (connection: WebSocket): number {
  return bufferedAmount.call(connection)
}
