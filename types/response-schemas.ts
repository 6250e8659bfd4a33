// What `schema.response` says about a status: its headers and its body, as the type provider reads their schemas.
import type { FastifyTypeProvider } from 'fastify'
import type { HeaderRecord, HeaderValue } from './headers.ts'
import type { BodySchemas } from './http-schema.ts'
import type { WebSocketSchema } from './schema.ts'

/** The headers that `conn.acceptWith()` takes. */
export type AcceptHeaders<Schema extends WebSocketSchema, TypeProvider extends FastifyTypeProvider> =
  ByStatus<Responses<Schema>> extends { 101: infer Entry } ? HeadersOf<Entry, TypeProvider> : HeaderRecord

/** The headers that `conn.reject()` takes for a status. */
export type RefusalHeaders<Schema extends WebSocketSchema, TypeProvider extends FastifyTypeProvider, Code extends number> =
  HeadersOf<EntryFor<ByStatus<Responses<Schema>>, Code>, TypeProvider>

/** The body that `conn.reject()` takes for a status. */
export type RefusalBody<Schema extends WebSocketSchema, TypeProvider extends FastifyTypeProvider, Code extends number> =
  BodyOf<EntryFor<ByStatus<BodySchemas<Responses<Schema>>>, Code>, TypeProvider>

type Responses<Schema> = Schema extends { response: infer Declared } ? Declared : {}

// The keys in one spelling: 101 and '101' are the same, '4XX' and '4xx' too.
type ByStatus<Declared> = {
  [Status in keyof Declared as Status extends string | number ? Lowercase<`${Status}`> : never]: Declared[Status]
}

// As the server finds the schema of a status: the code itself, then '4xx', then 'default'. Of a status without any, or of
// one that is not known, nothing is known.
type EntryFor<Declared, Code extends number> =
  number extends Code ? unknown
    : `${Code}` extends keyof Declared ? Declared[`${Code}`]
      : ClassOf<Code> extends keyof Declared ? Declared[ClassOf<Code>]
        : 'default' extends keyof Declared ? Declared['default']
          : unknown

type ClassOf<Code extends number> = `${Code}` extends `${infer Digit}${string}` ? `${Digit}xx` : never

type HeadersOf<Entry, TypeProvider extends FastifyTypeProvider> =
  Entry extends { headers: infer Schema } ? HeaderValues<Resolve<Schema, TypeProvider, HeaderRecord>> : HeaderRecord

// A schema may leave the type of a value open; it is a header's all the same.
type HeaderValues<Headers> = { [Name in keyof Headers]: unknown extends Headers[Name] ? HeaderValue : Headers[Name] }

type BodyOf<Entry, TypeProvider extends FastifyTypeProvider> =
  Entry extends { content: infer Content }
    ? { [Type in keyof Content]: Content[Type] extends { schema: infer Schema } ? Resolve<Schema, TypeProvider, unknown> : unknown }[keyof Content]
    : Resolve<Entry, TypeProvider, unknown>

// A type provider answers `unknown`, or `any`, for a schema that tells it nothing. Without a provider that is every schema.
type Resolve<Schema, TypeProvider extends FastifyTypeProvider, Fallback> =
  unknown extends (TypeProvider & { schema: Schema })['serializer'] ? Fallback : (TypeProvider & { schema: Schema })['serializer']
