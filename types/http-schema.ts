// The schema of the HTTP route that a WebSocket route is: what its requests, its hooks and its `handler` go by.
import type { WebSocketSchema } from './schema.ts'

/** The schema of a route as Fastify takes it: every entry of `response` describes a body. */
export type HttpSchema<Schema extends WebSocketSchema> =
  Schema extends { response: infer Declared } ? Omit<Schema, 'response'> & { response: BodySchemas<Declared> } : Schema

/** The entries of `schema.response` that describe a body. */
export type BodySchemas<Declared> = {
  [Status in keyof Declared as Status extends 101 | '101' ? never : HasBody<Declared[Status]> extends true ? Status : never]: Declared[Status]
}

// An entry that has headers describes a body too, unless nothing but a description is beside them.
type HasBody<Entry> =
  Entry extends { headers: unknown } ? [Exclude<keyof Entry, 'headers' | 'description'>] extends [never] ? false : true : true
