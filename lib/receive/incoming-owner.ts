import type { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import type { Traffic } from '../traffic.ts'

/** What the incoming messages of all connections of a route share. */
interface IncomingRoute {
  readonly url: string
  readonly options: { readonly highWaterMark: number }
  readonly messages: { decode (data: RawData, isBinary: boolean): unknown }
  readonly callbacks: { readonly hasOnMessage: boolean }
  readonly stats: { readonly received: Traffic, discarded: number }
}

/** What incoming messages need of their session. */
export interface IncomingOwner {
  readonly connection: WebSocket
  readonly route: IncomingRoute
  readonly stream: Duplex
  readonly isCongested: boolean
  sendPong (data: Buffer): void
  /** Tells the listeners of a message, and returns whether there was one. */
  notifyMessage (data: RawData, isBinary: boolean): boolean
  callOnMessage (message: unknown): unknown
  fail (error: unknown): void
  iterationError (): Error | null
  handleIdle (): void
  /** The first message that nobody takes. */
  handleDiscarded (): void
}
