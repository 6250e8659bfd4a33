// How many connections and handshakes there may be. A handshake takes its place before it is decided, so that the limits
// hold however many are decided at once; it gives the place back on whatever way it ends, and a connection when it is gone.
import type { FastifyRequest } from 'fastify'
import {
  FST_ERR_WS_MAX_CONNECTIONS, FST_ERR_WS_MAX_CONNECTIONS_PER_KEY, FST_ERR_WS_MAX_PENDING_HANDSHAKES
} from '../errors.ts'

/** The limits of the server, or of a route. */
export interface LimitOptions {
  readonly maxConnections: number
  readonly maxConnectionsPerKey: number
  readonly maxPendingHandshakes: number
  readonly keyGenerator: (request: FastifyRequest) => unknown
}

/** The counts of the server, or of one route. */
export class Quota {
  /** `null` if nothing counts by key. */
  readonly keyGenerator: LimitOptions['keyGenerator'] | null
  readonly #limits: LimitOptions
  readonly #scope: string
  readonly #perKey = new Map<string, number>()
  #places = 0
  #pending = 0

  constructor (limits: LimitOptions, scope: string) {
    this.keyGenerator = limits.maxConnectionsPerKey < Infinity ? limits.keyGenerator : null
    this.#limits = limits
    this.#scope = scope
  }

  /** Whether it matters how many connections are open. */
  get countsOpen (): boolean {
    return this.#limits.maxConnections < Infinity || this.keyGenerator !== null
  }

  /** What is counted at present; all of it is zero when nobody is here. */
  get counts (): { places: number, pending: number, keys: number } {
    return { places: this.#places, pending: this.#pending, keys: this.#perKey.size }
  }

  /** Why there is no place for another handshake; `null` if there is one. */
  refusal (): Error | null {
    const { maxConnections, maxPendingHandshakes } = this.#limits
    if (this.#pending >= maxPendingHandshakes) return FST_ERR_WS_MAX_PENDING_HANDSHAKES(this.#scope, maxPendingHandshakes)
    if (this.#places >= maxConnections) return FST_ERR_WS_MAX_CONNECTIONS(this.#scope, maxConnections)
    return null
  }

  refusalFor (key: string | null): Error | null {
    const { maxConnectionsPerKey } = this.#limits
    if (key === null || (this.#perKey.get(key) ?? 0) < maxConnectionsPerKey) return null
    return FST_ERR_WS_MAX_CONNECTIONS_PER_KEY(this.#scope, maxConnectionsPerKey)
  }

  enter (): void {
    this.#places++
    this.#pending++
  }

  enterFor (key: string | null): void {
    if (key !== null) this.#perKey.set(key, (this.#perKey.get(key) ?? 0) + 1)
  }

  settle (): void {
    this.#pending--
  }

  leave (key: string | null): void {
    this.#places--
    if (key === null) return
    const count = Number(this.#perKey.get(key))
    if (count > 1) this.#perKey.set(key, count - 1)
    else this.#perKey.delete(key)
  }
}

const ReservationState = {
  Pending: 'pending',
  Settled: 'settled',
  Released: 'released'
} as const
type State = typeof ReservationState[keyof typeof ReservationState]

const NO_KEYS: ReadonlyArray<string | null> = Object.freeze([])

/** The place of one handshake, and then of its connection, in some quotas. */
export class Reservation {
  readonly #quotas: readonly Quota[]
  #keys: ReadonlyArray<string | null> = NO_KEYS
  #state: State = ReservationState.Pending

  private constructor (quotas: readonly Quota[]) {
    this.#quotas = quotas
    for (const quota of quotas) quota.enter()
  }

  /** Takes a place in all of the quotas, or in none: then returns why not. */
  static take (quotas: readonly Quota[]): Reservation | Error {
    for (const quota of quotas) {
      const refusal = quota.refusal()
      if (refusal !== null) return refusal
    }
    return new Reservation(quotas)
  }

  /** Counts for a key in each of the quotas that has keys, or in none: then returns why not. */
  takeKeys (keys: ReadonlyArray<string | null>): Error | null {
    if (this.#state !== ReservationState.Pending) return null
    for (const [i, quota] of this.#quotas.entries()) {
      const refusal = quota.refusalFor(keys[i] ?? null)
      if (refusal !== null) return refusal
    }
    this.#keys = keys
    for (const [i, quota] of this.#quotas.entries()) quota.enterFor(keys[i] ?? null)
    return null
  }

  /** Gives the place to the connection that has opened: `null` if nobody counts those. */
  keep (): Reservation | null {
    this.settle()
    if (this.#quotas.some(({ countsOpen }) => countsOpen)) return this
    this.release()
    return null
  }

  /** The handshake has its answer. */
  settle (): void {
    if (this.#state !== ReservationState.Pending) return
    this.#state = ReservationState.Settled
    for (const quota of this.#quotas) quota.settle()
  }

  /** The handshake was refused, or its connection is gone. */
  release (): void {
    if (this.#state === ReservationState.Released) return
    this.settle()
    this.#state = ReservationState.Released
    for (const [i, quota] of this.#quotas.entries()) quota.leave(this.#keys[i] ?? null)
  }
}
