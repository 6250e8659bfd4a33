// What the route's schema says about the two ways to answer a handshake.
import type { FastifyTypeProvider } from 'fastify'
import type { HeaderRecord } from './headers.ts'
import type { WebSocketSchema } from './schema.ts'

// `NonNullable` of a type provider's answer is not enough to tell that there is none: without a provider it is `unknown`.
type Resolve<TypeProvider extends FastifyTypeProvider, Schema, Fallback> =
  unknown extends (TypeProvider & { schema: Schema })['serializer'] ? Fallback : (TypeProvider & { schema: Schema })['serializer']

type Responses<Schema extends WebSocketSchema> = Schema extends { response: infer Map } ? Map : {}

// As Fastify looks a status up: the code itself, then `4xx`, then `default`.
type ResponseFor<Map, Code extends number> =
  Code extends keyof Map ? Map[Code]
    : `${Code}` extends keyof Map ? Map[`${Code}`]
      : `${Code}` extends `${infer Class}${string}`
        ? `${Class}xx` extends keyof Map ? Map[`${Class}xx`]
          : `${Class}XX` extends keyof Map ? Map[`${Class}XX`]
            : 'default' extends keyof Map ? Map['default'] : {}
        : {}

type HeadersOf<TypeProvider extends FastifyTypeProvider, Response> =
  Response extends { headers: infer Headers } ? Resolve<TypeProvider, Headers, HeaderRecord> : HeaderRecord

type BodyOf<TypeProvider extends FastifyTypeProvider, Response> =
  Response extends { content: infer Content } ? Resolve<TypeProvider, Content[keyof Content] extends { schema: infer Schema } ? Schema : never, unknown>
    : Response extends { headers: unknown } ? unknown
      : {} extends Response ? unknown
          : Resolve<TypeProvider, Response, unknown>

// A property that may be left out if its type allows to leave everything in it out.
type Headers<Type> = {} extends Type ? { headers?: Type | undefined } : { headers: Type }

/** The options of `conn.acceptWith()`. */
export type AcceptOptions<TypeProvider extends FastifyTypeProvider, Schema extends WebSocketSchema, Protocol extends string> =
  Headers<HeadersOf<TypeProvider, 101 extends keyof Responses<Schema> ? Responses<Schema>[101] : '101' extends keyof Responses<Schema> ? Responses<Schema>['101'] : {}>> & {
    /** One of the subprotocols that the client offered. */
    protocol?: Protocol | undefined
  }

/** The options of `conn.acceptWith()`, to be left out if every one of them may be. */
export type AcceptArguments<TypeProvider extends FastifyTypeProvider, Schema extends WebSocketSchema, Protocol extends string> =
  {} extends AcceptOptions<TypeProvider, Schema, Protocol>
    ? [options?: AcceptOptions<TypeProvider, Schema, Protocol>]
    : [options: AcceptOptions<TypeProvider, Schema, Protocol>]

/** The options of `conn.reject()` for one status code. */
export type RejectOptions<TypeProvider extends FastifyTypeProvider, Schema extends WebSocketSchema, Code extends number> =
  Headers<HeadersOf<TypeProvider, ResponseFor<Responses<Schema>, Code>>> & {
    /**
     * The status of the response, from 300 to 599.
     *
     * @default 403, or the status of `body` if that is a Response
     */
    code?: Code | undefined
    /**
     * The body: a value for the schema of this status, or without one a string, a Buffer, a JSON value, a stream or a
     * web `Response`.
     *
     * @default Fastify's own error shape from 400 on, nothing below
     */
    body?: BodyOf<TypeProvider, ResponseFor<Responses<Schema>, Code>> | undefined
  }
