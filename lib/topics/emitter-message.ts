// What goes through an emitter to other processes, and the checks of what comes from there.
import type { EmitterMessage } from '../../types/emitter.ts'

/** A message as it crosses to other processes. */
export type EmitterPayload =
  { readonly type: 'text' | 'json', readonly payload: string } |
  { readonly type: 'binary', readonly payload: Buffer }

export interface RemoteMessage {
  /** The process that has published it. */
  readonly origin: string
  /** Rises with each message of this origin. */
  readonly number: number
  readonly value: unknown
  /** Its text, or its bytes. */
  readonly raw: string | Buffer
}

const PREFIX = 'fastify-websocket-route'
const VERSION = 1
const MAX_ORIGIN = 64

/** The name of a topic for the emitter. Nothing in it can be a wildcard there, or a separator. */
export function topicName (topic: string): string {
  return `${PREFIX}:topic:${escape(topic)}`
}

/** A name that nobody but this process listens to. */
export function probeName (origin: string): string {
  return `${PREFIX}:probe:${origin}`
}

export function toEmitterMessage (name: string, origin: string, number: number, { type, payload }: EmitterPayload): EmitterMessage {
  return { topic: name, version: VERSION, origin, number, type, payload }
}

/** Returns the message, or what is wrong with it. */
export function readEmitterMessage (message: unknown): RemoteMessage | string {
  if (typeof message !== 'object' || message === null) return 'it is no object'
  const { version, origin, number, type, payload } = message as Record<string, unknown>
  if (version !== VERSION) return 'its version is another one'
  if (typeof origin !== 'string' || origin.length > MAX_ORIGIN) return 'it has no origin'
  if (!Number.isSafeInteger(number)) return 'it has no number'
  const body = readBody(type, payload)
  return typeof body === 'string' ? body : { origin, number: number as number, ...body }
}

function readBody (type: unknown, payload: unknown): Pick<RemoteMessage, 'value' | 'raw'> | string {
  if (type === 'binary') {
    const raw = toBuffer(payload)
    return raw === null ? 'its payload is not binary' : { value: raw, raw }
  }
  if (typeof payload !== 'string') return 'its payload is no text'
  if (type === 'text') return { value: payload, raw: payload }
  if (type !== 'json') return 'its type is none'
  try {
    return { value: JSON.parse(payload), raw: payload }
  } catch {
    return 'its payload is not JSON'
  }
}

// Some emitters carry JSON, where a Buffer is what its toJSON() has made of it.
function toBuffer (payload: unknown): Buffer | null {
  if (payload instanceof Uint8Array) return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  const { type, data } = Object(payload) as { type?: unknown, data?: unknown }
  return type === 'Buffer' && Array.isArray(data) ? Buffer.from(data as number[]) : null
}

function escape (topic: string): string {
  if (!/[^A-Za-z0-9.-]/.test(topic)) return topic
  return topic.replaceAll(/[^A-Za-z0-9.-]/gu, (character) => Buffer.from(character).toString('hex').replaceAll(/../g, '_$&'))
}
