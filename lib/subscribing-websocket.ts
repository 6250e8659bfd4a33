// A WebSocket that subscribes to topics and publishes to them.
import { WebSocket } from 'ws'
import { CapturingWebSocket } from './capturing-websocket.ts'
import { FST_ERR_WS_NOT_OPEN } from './errors.ts'

/** Where the subscriptions of a server are. */
export interface TopicHub {
  subscribe (connection: WebSocket, topic: unknown): void
  unsubscribe (connection: WebSocket, topic: unknown): void
  topicsOf (connection: WebSocket): string[]
  publish (topic: unknown, message: unknown, publisher: WebSocket | null): number
}

export abstract class SubscribingWebSocket extends CapturingWebSocket {
  abstract readonly route: { readonly pubSub: TopicHub }

  get topics (): readonly string[] {
    return this.route.pubSub.topicsOf(this)
  }

  subscribe (topic?: unknown): void {
    this.#mustHaveOpened('subscribe')
    this.route.pubSub.subscribe(this, topic)
  }

  unsubscribe (topic?: unknown): void {
    this.#mustHaveOpened('unsubscribe')
    this.route.pubSub.unsubscribe(this, topic)
  }

  publish (topic?: unknown, message?: unknown): number {
    this.#mustHaveOpened('publish')
    return this.route.pubSub.publish(topic, message, this)
  }

  // A connection whose handshake was refused stays in this state.
  #mustHaveOpened (method: string): void {
    if (this.readyState === WebSocket.CONNECTING) throw FST_ERR_WS_NOT_OPEN(method, `${method} in onConnection`)
  }
}
