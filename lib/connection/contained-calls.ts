// The calls of listeners and callbacks of a connection, in the asynchronous context of its handshake. Nothing that one throws gets
// back into ws, where it would end the process or the connection's state.
import type { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import type { RawData } from 'ws'
import { errorChannel } from '../channels.ts'
import type { ConnectionRoute } from './connection-route.ts'
import type { Connection } from './connection.ts'

// The connection overrides it.
const { emit } = EventEmitter.prototype

export abstract class ContainedCalls {
  readonly connection: Connection
  readonly route: ConnectionRoute
  readonly #scope: AsyncResource

  constructor (connection: Connection, route: ConnectionRoute, scope: AsyncResource) {
    this.connection = connection
    this.route = route
    this.#scope = scope
  }

  /** An error that ws has found in what the peer sent. */
  protected abstract isOfPeer (error: unknown): boolean

  /** Calls a function in the asynchronous context of the handshake. */
  run<This, Args extends unknown[], Result> (callback: (this: This, ...args: Args) => Result, thisArgument: This, ...args: Args): Result {
    return this.#scope.runInAsyncScope<This, Result>(callback as (this: This, ...args: unknown[]) => Result, thisArgument, ...args)
  }

  /** Tells the listeners of a message, and returns whether there was one. */
  notifyMessage (data: RawData, isBinary: boolean): boolean {
    if (this.connection.listenerCount('message') === 0) return false
    try {
      return this.#scope.runInAsyncScope(emit, this.connection, 'message', data, isBinary)
    } catch (error) {
      this.fail(error)
      return true
    }
  }

  /** Tells the listeners of an event, and returns whether there was one. */
  notify (event: string | symbol, args: unknown[]): boolean {
    // Without one it would throw: all errors have gone to onError.
    if (event === 'error' && this.connection.listenerCount('error') === 0) return false
    try {
      return this.#scope.runInAsyncScope(emit, this.connection, event, ...args)
    } catch (error) {
      this.fail(error)
      return true
    }
  }

  /** Something has gone wrong that concerns this connection. */
  fail (error: unknown): void {
    if (errorChannel.hasSubscribers) errorChannel.publish({ connection: this.connection, route: this.route.url, error })
    this.route.callbacks.handleError(this, error, this.isOfPeer(error))
  }
}
