// What every contender serves, each in the way of its own README:
//
//   /echo        sends back what it gets
//   /json        validates a message, and sends another, serialised
//   /checked     a handshake with a hook and a schema for its headers
//   /session     the same, with a header of its own on the 101
//   /refused     401 with a JSON body
//   /subscribe   gets what comes in on /publish
import { Ajv } from 'ajv'

export const MAX_PAYLOAD = 1_048_576
export const AUTHORIZATION = 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJiZW5jaCJ9.c2lnbmF0dXJl'
export const SESSION = '6f1c2d9a-1c0e-4f7b-9d5e-2f8f5a7f3a10'
export const REFUSAL = { error: 'authorization required' }
export const TOPIC = 'news'

export const IS_DEFLATING = 'deflate'
/** Each message by itself, so that one that goes to many can be compressed once. */
export const DEFLATE = process.argv[3] === IS_DEFLATING && { threshold: 128, serverNoContextTakeover: true }

/** A connection, for bench/subscribing.ts. */
export interface Member {
  subscribe (topic: string): void
  unsubscribe (topic: string): void
}

export const RECEIVE = {
  type: 'object',
  required: ['id', 'text', 'tags'],
  additionalProperties: false,
  properties: {
    id: { type: 'integer', minimum: 0 },
    text: { type: 'string', maxLength: 500 },
    tags: { type: 'array', maxItems: 10, items: { type: 'string' } }
  }
} as const

export const SEND = {
  type: 'object',
  properties: { id: { type: 'integer' }, text: { type: 'string' }, count: { type: 'integer' } }
} as const

export const HEADERS = {
  type: 'object',
  required: ['authorization', 'user-agent', 'x-client-version'],
  properties: {
    authorization: { type: 'string', pattern: '^Bearer ' },
    'user-agent': { type: 'string', maxLength: 500 },
    'x-client-version': { type: 'integer', minimum: 1 }
  }
} as const

export const SESSION_HEADERS = {
  type: 'object',
  required: ['x-session'],
  properties: { 'x-session': { type: 'string', minLength: 36, maxLength: 36 } }
} as const

export interface Message { id: number, text: string, tags: string[] }

// The settings of Fastify's own validator, for those that have none.
const ajv = new Ajv({ coerceTypes: 'array', useDefaults: true, removeAdditional: true, allErrors: false })
const isMessage = ajv.compile(RECEIVE)
const areHeaders = ajv.compile(HEADERS)
const areSessionHeaders = ajv.compile(SESSION_HEADERS)

/** The answer to a message of `/json`, by hand. */
export function answerJson (text: string): string {
  return JSON.stringify(answerMessage(JSON.parse(text)))
}

export function answerMessage (message: unknown): object {
  if (!isMessage(message)) throw new Error('not valid')
  const { id, text, tags } = message as unknown as Message
  return { id, text, count: tags.length }
}

/** The hook and the schema of `/checked`, by hand. */
export function isAllowed (headers: object): boolean {
  return (headers as { authorization?: string }).authorization === AUTHORIZATION && areHeaders(headers)
}

export function sessionHeaders (): Record<string, string> {
  const headers = { 'x-session': SESSION }
  if (!areSessionHeaders(headers)) throw new Error('not valid')
  return headers
}
