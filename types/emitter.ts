// What carries messages between the processes of a cluster: an emitter of the mqemitter family.

/** What an emitter carries. */
export interface EmitterMessage {
  topic: string
  [field: string]: unknown
}

/** As [mqemitter](https://github.com/mcollina/mqemitter) and those made after it have it. */
export interface Emitter {
  /** Subscribes. `callback` is called when the subscription has taken effect. */
  on (topic: string, listener: (message: EmitterMessage, done: () => void) => void, callback?: () => void): unknown
  removeListener (topic: string, listener: (message: EmitterMessage, done: () => void) => void, callback?: () => void): unknown
  /** Publishes. `callback` is called when the message is on its way, or with an error. */
  emit (message: EmitterMessage, callback?: (error?: Error | null) => void): unknown
}

/** The state of the option `emitter`, and counters since the server was made. */
export interface EmitterStats {
  /**
   * - `'connecting'`: nothing is known yet; what is published is given to the emitter
   * - `'up'`: what this process publishes reaches the others, and the other way round
   * - `'down'`: it does not; what is published reaches the subscribers of this process alone
   */
  readonly state: 'connecting' | 'up' | 'down'
  /** Subscriptions on the emitter: one for each topic that has subscribers in this process. */
  readonly topics: number
  /** Those of them that have not taken effect yet. */
  readonly pending: number
  /** Messages that were given to the emitter. */
  readonly published: number
  /** Messages of other processes. */
  readonly received: number
  /** Messages that were published while the emitter was down, or that it has refused. */
  readonly lost: number
  /** Messages of the emitter that were malformed, or had come before. */
  readonly dropped: number
}
