import { Quota } from '../../lib/handshake/limits.ts'
import type { Teardown } from './app.ts'

export const ZERO = { places: 0, pending: 0, keys: 0 }

/** What is counted at present by all quotas that have counted anything since this was called. */
export function watchCounts (t: Teardown): () => Array<Quota['counts']> {
  const quotas = new Set<Quota>()
  const { enter } = Quota.prototype
  Quota.prototype.enter = function (this: Quota) {
    quotas.add(this)
    enter.call(this)
  }
  t.teardown(() => { Quota.prototype.enter = enter })
  return () => [...quotas].map(({ counts }) => counts)
}
