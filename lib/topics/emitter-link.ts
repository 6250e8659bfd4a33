// Between the topics of this process and those of others: one subscription on the emitter for each topic that has subscribers
// here, and a copy of all that is published here.
//
//   connecting ──┬─ an echo ─→ up ←──────── an echo, and what was not confirmed is subscribed anew ─┐
//                └─ a failure ──┴─ a failure ─→ down ───────────────────────────────────────────────┘
import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import type { Emitter, EmitterMessage, EmitterStats } from '../../types/emitter.ts'
import { EmitterProbe } from './emitter-health.ts'
import { type EmitterPayload, type RemoteMessage, readEmitterMessage, probeName, toEmitterMessage, topicName } from './emitter-message.ts'
import type { PubSub } from './pub-sub.ts'

type Listener = (message: EmitterMessage, done: () => void) => void

interface Subscription {
  readonly topic: string
  readonly name: string
  /** The number of the last message of each origin. */
  readonly last: Map<string, number>
  /** `null` while there is none on the emitter. */
  listener: Listener | null
}

// What the emitter was given and has not confirmed. More could fill the memory of the process.
const MAX_PENDING_BYTES = 64 * 1024 * 1024
// Processes come and go; those that have been silent for longest are forgotten.
const MAX_ORIGINS = 1_000

export class EmitterLink {
  readonly #emitter: Emitter
  readonly #log: FastifyBaseLogger
  readonly #pubSub: PubSub
  readonly #origin = randomUUID()
  readonly #probe: EmitterProbe
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #unconfirmed = new Set<Subscription>()
  // An emitter that is about to fail may confirm subscriptions that it has given up. So they are confirmed on trial, until the
  // second echo that follows: its probe was sent after them.
  #onTrial = new Set<Subscription>()
  #nearlyProven = new Set<Subscription>()
  readonly #renewing = new Set<Subscription>()
  readonly #counts = { published: 0, received: 0, lost: 0, dropped: 0 }
  #state: EmitterStats['state'] = 'connecting'
  #mayConfirm = true // a subscription that the emitter confirms while it is down may be one that it has given up
  #number = 0
  #pending = { bytes: 0 } // since it was up last
  #isClosed = false

  constructor (emitter: Emitter, log: FastifyBaseLogger, pubSub: PubSub) {
    this.#emitter = emitter
    this.#log = log
    this.#pubSub = pubSub
    this.#probe = new EmitterProbe(emitter, probeName(this.#origin), this)
  }

  get stats (): EmitterStats {
    return { state: this.#state, topics: this.#subscriptions.size, pending: this.#unconfirmed.size, ...this.#counts }
  }

  get isDown (): boolean {
    return this.#state === 'down'
  }

  start (): void {
    for (const source of this.#sources) source.on('error', this.handleFailure)
    this.#try(() => this.#probe.start())
  }

  /** Removes the last listeners, when all connections are gone and their subscriptions with them. */
  close (): void {
    this.#isClosed = true
    for (const source of this.#sources) {
      source.off('error', this.handleFailure)
      // Until its owner closes it an error that nobody listens to would end the process.
      if (source.listenerCount('error') === 0) source.on('error', ignore)
    }
    this.#try(() => this.#probe.stop())
  }

  subscribe (topic: string): void {
    const subscription: Subscription = { topic, name: topicName(topic), last: new Map(), listener: null }
    this.#subscriptions.set(topic, subscription)
    this.#attach(subscription)
  }

  unsubscribe (topic: string): void {
    // It has been subscribed: there are no topics before the link, nor after it.
    const subscription = this.#subscriptions.get(topic) as Subscription
    this.#subscriptions.delete(topic)
    for (const set of [this.#unconfirmed, this.#onTrial, this.#nearlyProven]) set.delete(subscription)
    this.#detach(subscription)
    this.#finishRenewal(subscription)
  }

  publish (topic: string, payload: EmitterPayload): void {
    const size = payload.payload.length
    if (!this.isDown && this.#pending.bytes + size > MAX_PENDING_BYTES) {
      this.handleFailure(new Error(`The emitter is too slow: more than ${MAX_PENDING_BYTES} bytes wait for it`))
    }
    if (this.isDown) {
      this.#counts.lost++
      return
    }
    this.#counts.published++
    const pending = this.#pending
    pending.bytes += size
    const name = this.#subscriptions.get(topic)?.name ?? topicName(topic)
    const message = toEmitterMessage(name, this.#origin, ++this.#number, payload)
    const handleTaken = (error?: Error | null): void => {
      pending.bytes -= size
      if (error == null) return
      this.#counts.lost++
      this.handleFailure(error)
    }
    try {
      this.#emitter.emit(message, handleTaken)
    } catch (error) {
      handleTaken(error as Error)
    }
  }

  // ---- its state --------------------------------------------------------------------------------------------------------

  /** What the probe has sent has come back. */
  handleEcho (): void {
    this.#nearlyProven = this.#onTrial
    this.#onTrial = new Set()
    if (this.#state === 'up' || this.#renewing.size > 0) return
    this.#mayConfirm = true
    if (this.isDown) for (const subscription of this.#unconfirmed) this.#renewing.add(subscription)
    for (const subscription of [...this.#renewing]) {
      this.#detach(subscription)
      this.#attach(subscription)
    }
    if (this.#renewing.size === 0) this.#rise()
  }

  /** It has not come back, or the emitter has failed. */
  readonly handleFailure = (err: Error): void => {
    this.#mayConfirm = false
    this.#renewing.clear()
    for (const subscription of [...this.#onTrial, ...this.#nearlyProven]) this.#unconfirmed.add(subscription)
    this.#onTrial.clear()
    this.#nearlyProven.clear()
    if (this.isDown || this.#isClosed) return
    this.#state = 'down'
    this.#log.warn({ err }, 'The emitter is down: what is published reaches the subscribers of this process alone')
    this.#probe.hasten()
  }

  #rise (): void {
    if (this.#state === 'up' || !this.#mayConfirm) return
    this.#state = 'up'
    // What was sent before the echo has gone, or was lost: then there is no callback for it.
    this.#pending = { bytes: 0 }
    this.#log.info({ topics: this.#subscriptions.size }, 'The emitter is up: what is published reaches other processes')
  }

  // Not part of the interface: emitters that can lose a server emit 'error' here, which without a listener ends the process.
  get #sources (): EventEmitter[] {
    const { state, status } = this.#emitter as { readonly state?: unknown, readonly status?: unknown }
    return [state, status].filter((source) => source instanceof EventEmitter)
  }

  // ---- its subscriptions ------------------------------------------------------------------------------------------------

  // A new function each time: a listener that was removed may be called for another turn.
  #attach (subscription: Subscription): void {
    const listener: Listener = (message, done) => {
      done()
      if (subscription.listener === listener) this.#receive(subscription, message)
    }
    subscription.listener = listener
    this.#unconfirmed.add(subscription)
    this.#try(() => this.#emitter.on(subscription.name, listener, () => {
      if (!this.#mayConfirm || subscription.listener !== listener) return
      this.#unconfirmed.delete(subscription)
      this.#onTrial.add(subscription)
      this.#finishRenewal(subscription)
    }))
  }

  #detach (subscription: Subscription): void {
    const { name, listener } = subscription
    subscription.listener = null
    this.#try(() => this.#emitter.removeListener(name, listener as Listener))
  }

  #finishRenewal (subscription: Subscription): void {
    if (this.#renewing.delete(subscription) && this.#renewing.size === 0) this.#rise()
  }

  #receive (subscription: Subscription, message: EmitterMessage): void {
    const received = readEmitterMessage(message)
    if (typeof received === 'string') {
      this.#counts.dropped++
      this.#log.warn({ topic: subscription.topic, reason: received }, 'A message of the emitter was dropped')
      return
    }
    if (received.origin === this.#origin) return
    if (!isNext(subscription.last, received)) {
      this.#counts.dropped++
      return
    }
    this.#counts.received++
    this.#pubSub.receive(subscription.topic, received, this.#log)
  }

  #try (action: () => unknown): void {
    try {
      action()
    } catch (error) {
      this.handleFailure(error as Error)
    }
  }
}

function ignore (): void {}

// An emitter that was cut off may send messages a second time.
function isNext (last: Map<string, number>, { origin, number }: RemoteMessage): boolean {
  if (number <= (last.get(origin) ?? -Infinity)) return false
  last.delete(origin)
  last.set(origin, number)
  if (last.size > MAX_ORIGINS) last.delete(last.keys().next().value as string)
  return true
}
