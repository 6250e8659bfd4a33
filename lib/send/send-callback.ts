// The callbacks of send(), ping() and pong(). ws and the stream call them from wherever they are, where a throw would end the
// process.
import { AsyncResource } from 'node:async_hooks'
import { inspect } from 'node:util'
import { FST_ERR_WS_ARGUMENT } from '../errors.ts'
import { settle } from '../thenable.ts'

export type SendCallback = (error?: Error | null) => void

/**
 * Makes of what was given as a callback one that never throws, and runs on behalf of whoever sends now.
 *
 * @throws FST_ERR_WS_ARGUMENT if it is something else than a function
 */
export function containCallback (method: string, callback: unknown, fail: (error: unknown) => void): SendCallback | undefined {
  if (!callback) return undefined
  if (typeof callback !== 'function') throw FST_ERR_WS_ARGUMENT(method, 'a function as its callback', inspect(callback, { depth: 0 }))
  const caller = new AsyncResource('WebSocketSend')
  return (error) => settle(() => caller.runInAsyncScope(callback as SendCallback, undefined, error) as unknown, fail, ignore)
}

function ignore (): void {}
