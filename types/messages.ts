// What `schema.receive` and `schema.send` say about messages, as the type provider reads them.
import type { FastifyTypeProvider } from 'fastify'
import type { WebSocketSchema } from './schema.ts'

/** Binary data as `ws` takes it. */
export type BinaryData = ArrayBufferLike | NodeJS.ArrayBufferView

/** What `onMessage` and an iteration get: a value of `schema.receive`, or without one a string (text) or a Buffer (binary). */
export type ReceivedMessage<Schema extends WebSocketSchema, TypeProvider extends FastifyTypeProvider> =
  IsKnown<Schema> extends false ? unknown
    : Schema extends { receive: infer Receive } ? ByMediaType<Receive, TypeProvider, 'validator', Buffer> : string | Buffer

/** What `conn.publish()` and, beside a Blob, `conn.sendMessage()` take: a value for `schema.send`, or without one a string, binary data, or anything that is JSON. */
export type SentMessage<Schema extends WebSocketSchema, TypeProvider extends FastifyTypeProvider> =
  Schema extends { send: infer Send } ? ByMediaType<Send, TypeProvider, 'serializer', BinaryData> : unknown

/** A Blob, if binary data may be sent. */
export type BlobWhereBinary<Sent> = BinaryData extends Sent ? Blob : never

// WebSocketSchema itself stands for any schema, `any` for one of which nothing is known.
type IsKnown<Schema> = WebSocketSchema extends Schema ? {} extends Schema ? keyof Schema extends never ? true : false : false : true

type ByMediaType<Declared, TypeProvider extends FastifyTypeProvider, Kind extends 'validator' | 'serializer', Binary> =
  Declared extends { content: infer Content }
    ? { [Type in keyof Content]: OfMediaType<Type, Content[Type], TypeProvider, Kind, Binary> }[keyof Content]
    : Resolve<Declared, TypeProvider, Kind>

type OfMediaType<Type, Entry, TypeProvider extends FastifyTypeProvider, Kind extends 'validator' | 'serializer', Binary> =
  Type extends 'application/octet-stream' ? Binary
    : Entry extends { schema: infer Schema } ? Resolve<Schema, TypeProvider, Kind> : unknown

type Resolve<Schema, TypeProvider extends FastifyTypeProvider, Kind extends 'validator' | 'serializer'> =
  (TypeProvider & { schema: Schema })[Kind]
