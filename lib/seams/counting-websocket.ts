// A WebSocket that sends some of its frames itself, and ends later than ws thinks: `bufferedAmount` is what waits in ws, and
// what ws does not know of, and it is CLOSED when its socket is.
import { WebSocket } from 'ws'

const bufferedAmount = accessor<number>('bufferedAmount')
const readyState = accessor<WebSocket['readyState']>('readyState')

export abstract class CountingWebSocket extends WebSocket {
  /** Bytes that ws has not been given yet. @internal */
  abstract readonly unsent: number
  /** Whether the socket is there although ws has done with it. @internal */
  abstract readonly isHoldingClose: boolean
}

// To the types they are properties, in whose place no class may have an accessor.
Object.defineProperties(CountingWebSocket.prototype, {
  bufferedAmount: {
    ...bufferedAmount,
    get (this: CountingWebSocket) { return bufferedByWs(this) + this.unsent }
  },
  readyState: {
    ...readyState,
    get (this: CountingWebSocket) {
      const state = readyState.get.call(this)
      return state === WebSocket.CLOSED && this.isHoldingClose ? WebSocket.CLOSING : state
    }
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
