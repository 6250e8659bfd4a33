// A WebSocket that subscribes to topics and publishes to them.
import { inspect } from 'node:util'
import { FST_ERR_WS_ARGUMENT, FST_ERR_WS_NOT_OPEN } from '../errors.ts'
import { kSession } from '../symbols.ts'
import { CapturingWebSocket } from './async-listeners.ts'
import type { Session } from './session.ts'

export abstract class SubscribingWebSocket extends CapturingWebSocket {
  abstract readonly [kSession]: Session | null

  get topics (): readonly string[] {
    const session = this[kSession]
    return session === null ? [] : session.topics
  }

  subscribe (topic?: unknown): void {
    const session = this.#mustHaveOpened('subscribe')
    session.route.pubSub.subscribe(session, topic)
  }

  unsubscribe (topic?: unknown): void {
    const session = this.#mustHaveOpened('unsubscribe')
    session.route.pubSub.unsubscribe(session, topic)
  }

  publish (topic?: unknown, message?: unknown, options?: unknown): number {
    const session = this.#mustHaveOpened('publish')
    return session.route.pubSub.publish(topic, message, session, options !== undefined && isForSelf(options))
  }

  #mustHaveOpened (method: string): Session {
    const session = this[kSession]
    if (session === null) throw FST_ERR_WS_NOT_OPEN(method, `${method} in onConnection`)
    return session
  }
}

function isForSelf (options: unknown): boolean {
  const { self = false, ...rest } = Object(options) as { self?: unknown }
  if (typeof options !== 'object' || options === null || typeof self !== 'boolean' || Object.keys(rest).length > 0) {
    throw FST_ERR_WS_ARGUMENT('publish', 'options with a boolean "self" and nothing else', inspect(options))
  }
  return self
}
