// The options of the two answers to a handshake.
import type { FastifyTypeProvider, FastifyTypeProviderDefault } from 'fastify'
import type { AcceptHeaders, RefusalBody, RefusalHeaders } from './response-schemas.ts'
import type { WebSocketSchema } from './schema.ts'

// Headers are required if one of them is, and so are the options that have them.
type WithHeaders<Headers> = {} extends Headers ? OptionalHeaders<Headers> : RequiredHeaders<Headers>
type Arguments<Options> = {} extends Options ? [options?: Options] : [options: Options]

interface OptionalHeaders<Headers> {
  /** Headers of the answer, as their schema declares them; without a schema, of any name. */
  headers?: Headers | undefined
}

interface RequiredHeaders<Headers> {
  /** Headers of the answer, as their schema declares them. */
  headers: Headers
}

/** The options of `conn.acceptWith()`. */
export type AcceptOptions<
  Schema extends WebSocketSchema = WebSocketSchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Protocol extends string = string
> = WithHeaders<AcceptHeaders<Schema, TypeProvider>> & {
  /**
   * The subprotocol: one that the client offered.
   *
   * @default the first of the route's `protocols` that the client offered, or none
   */
  protocol?: Protocol | undefined
}

/** The arguments of `conn.acceptWith()`: none are needed unless `schema.response[101]` has a header that is required. */
export type AcceptArguments<
  Schema extends WebSocketSchema = WebSocketSchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Protocol extends string = string
> = Arguments<AcceptOptions<Schema, TypeProvider, Protocol>>

/** The options of `conn.reject()`. With a `Code` of type `number` nothing is known of the schema: any body, any headers. */
export type RejectOptions<
  Schema extends WebSocketSchema = WebSocketSchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Code extends number = number
> = {
  /**
   * The status of the response, from 300 to 599.
   *
   * @default 403, or the status of `body` if that is a Response
   */
  code?: Code | undefined
  /**
   * Why, for the log line of the refusal and for nothing else: the client does not see it.
   *
   * @default 'conn.reject()'
   */
  logReason?: string | undefined
} & AllOf<Refusal<Schema, TypeProvider, Code>>

// What the schema of each status asks for; a code that is one of several must be right for all of them.
type Refusal<Schema extends WebSocketSchema, TypeProvider extends FastifyTypeProvider, Code extends number> =
  Code extends number ? WithHeaders<RefusalHeaders<Schema, TypeProvider, Code>> & {
    /**
     * The body: a value for the schema of this status, or without one a string, a Buffer, a JSON value, a stream or a
     * web `Response`.
     *
     * @default Fastify's own error shape from 400 on, nothing below
     */
    body?: RefusalBody<Schema, TypeProvider, Code> | undefined
  } : never

// From a union to an intersection, by the contravariance of parameters.
type AllOf<Union> = (Union extends unknown ? (member: Union) => void : never) extends (member: infer Members) => void ? Members : never

/** The arguments of `conn.reject()`: none are needed unless the status has a header that is required. */
export type RejectArguments<
  Schema extends WebSocketSchema = WebSocketSchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Code extends number = number
> = Arguments<RejectOptions<Schema, TypeProvider, Code>>
