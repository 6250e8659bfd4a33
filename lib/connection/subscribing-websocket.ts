// A WebSocket that subscribes to topics and publishes to them.
import { WebSocket } from 'ws'
import { FST_ERR_WS_NOT_OPEN } from '../errors.ts'
import type { FramedMessage } from '../send/framed-message.ts'
import type { Subscriber } from '../topics/pub-sub.ts'
import { CapturingWebSocket } from './async-listeners.ts'
import type { ConnectionRoute } from './connection-route.ts'

export abstract class SubscribingWebSocket extends CapturingWebSocket implements Subscriber {
  abstract readonly route: ConnectionRoute
  abstract deliver (message: FramedMessage): void

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
