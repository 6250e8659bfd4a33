// What send(), ping() and pong() are given beside the data.
import { AsyncResource } from 'node:async_hooks'
import { inspect } from 'node:util'
import { FST_ERR_WS_ARGUMENT } from '../errors.ts'
import { settle } from '../thenable.ts'
import type { OutgoingOwner } from './backpressure.ts'

export type SendCallback = (error?: Error | null) => void

type SendOptions = Readonly<Record<'fin' | 'binary' | 'mask' | 'compress', boolean>>

const TEXT: SendOptions = Object.freeze({ fin: true, binary: false, mask: false, compress: true })
const BINARY: SendOptions = Object.freeze({ ...TEXT, binary: true })

/** Reads options as ws does: one that is there counts, even if it is `undefined`, and what is no object has none. */
export function readOptions (options: unknown, isText: boolean): SendOptions {
  const defaults = isText ? TEXT : BINARY
  return options === undefined ? defaults : { ...defaults, ...options as Partial<SendOptions> | null }
}

/**
 * Makes of what was given as a callback one that runs on behalf of whoever sends now, and never throws: ws and the stream call
 * it from wherever they are, where a throw would end the process.
 *
 * @throws FST_ERR_WS_ARGUMENT if it is something else than a function
 */
export function containCallback (method: string, callback: unknown, owner: OutgoingOwner): SendCallback | undefined {
  if (!callback) return undefined
  if (typeof callback !== 'function') throw FST_ERR_WS_ARGUMENT(method, 'a function as its callback', inspect(callback, { depth: 0 }))
  const caller = new AsyncResource('WebSocketSend')
  const fail = (error: unknown): void => owner.fail(error)
  return (error) => settle(() => caller.runInAsyncScope(callback as SendCallback, undefined, error) as unknown, fail)
}
