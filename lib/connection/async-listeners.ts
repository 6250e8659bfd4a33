// A WebSocket whose other kind of listeners, those of addEventListener() and onmessage, may be async as well: what they reject
// with goes where `captureRejections` of EventEmitter sends it. ws drops what such a listener returns, so it is given another
// one in its place, always the same: ws knows a listener by identity.
import { EventEmitter } from 'node:events'
import { WebSocket } from 'ws'
import { ServerWebSocket, wrapGetter } from '../seams/server-websocket.ts'
import { isThenable } from '../thenable.ts'

type Handler = ((this: WebSocket, event: WebSocket.Event) => unknown) | { handleEvent (event: WebSocket.Event): unknown }
type StandIn = (this: WebSocket, event: WebSocket.Event) => void

const standIns = new WeakMap<Handler, StandIn>()
const originals = new WeakMap<StandIn, Handler>()

export abstract class CapturingWebSocket extends ServerWebSocket {
  override addEventListener (type: string, handler: unknown, options?: object): void {
    super.addEventListener(type as 'message', (isHandler(handler) ? standInFor(handler) : handler) as StandIn, options)
  }

  override removeEventListener (type: string, handler: unknown): void {
    super.removeEventListener(type as 'message', (standIns.get(handler as Handler) ?? handler) as StandIn)
  }
}

// Their setters call addEventListener().
for (const name of ['onopen', 'onmessage', 'onerror', 'onclose'] as const) {
  wrapGetter<StandIn | null>(CapturingWebSocket.prototype, WebSocket.prototype, name, (standIn) => standIn && originals.get(standIn))
}

function isHandler (handler: unknown): handler is Handler {
  return typeof handler === 'function' || (typeof handler === 'object' && handler !== null)
}

function standInFor (handler: Handler): StandIn {
  const known = standIns.get(handler)
  if (known !== undefined) return known
  const standIn: StandIn = function (event) {
    const result = typeof handler === 'function' ? handler.call(this, event) : handler.handleEvent(event)
    if (isThenable(result)) Promise.resolve(result).then(undefined, (error: unknown) => { this[EventEmitter.captureRejectionSymbol]?.(error as Error, event.type) })
  }
  standIns.set(handler, standIn)
  originals.set(standIn, handler)
  return standIn
}
