// `schema.receive` and `schema.send`, compiled once with the compilers of the route.
import { inspect } from 'node:util'
import type { FastifySchemaCompiler, FastifySerializerCompiler } from 'fastify'
import secureJson from 'secure-json-parse'
import type { RawData } from 'ws'
import { CloseCode, cutReason } from '../close-codes.ts'
import { FST_ERR_WS_MESSAGE_INVALID, FST_ERR_WS_MESSAGE_SCHEMA, FST_ERR_WS_SEND_INVALID } from '../errors.ts'
import { isOfKind, type Kinds, kindsOf } from './json-type.ts'
import { isBlob } from './payload.ts'
import { compileUnion } from './union-validator.ts'
import { type Invalid, isObject } from './validator.ts'

/** A message as ws sends it: text, or binary. */
export type EncodedMessage = string | ArrayBufferLike | NodeJS.ArrayBufferView | Blob

/** Between the frames of a connection and the values that its handlers see. */
export interface MessageCodec {
  /** @throws FST_ERR_WS_MESSAGE_INVALID */
  decode (data: RawData, isBinary: boolean): unknown
  /** @throws FST_ERR_WS_SEND_INVALID */
  encode (value: unknown): EncodedMessage
}

/** As they stand in the schema of a route. */
export interface MessageSchemas {
  readonly receive?: unknown
  readonly send?: unknown
}

export interface MessageContext {
  readonly url: string
  readonly validatorCompiler: FastifySchemaCompiler<unknown>
  readonly serializerCompiler: FastifySerializerCompiler<unknown>
  /** How the server treats `__proto__` in JSON. */
  readonly onProtoPoisoning?: secureJson.ParseOptions['protoAction']
  /** How the server treats `constructor.prototype` in JSON. */
  readonly onConstructorPoisoning?: secureJson.ParseOptions['constructorAction']
}

// By media type, as in the `content` of a body or a response. Text messages are JSON, binary ones have no schema.
interface Accepted {
  readonly json: { readonly schema: unknown } | undefined
  readonly binary: boolean
}

const JSON_TYPE = 'application/json'
const BINARY_TYPE = 'application/octet-stream'

/** Without schemas: strings and binary data go as they are, every other value as JSON. */
export const RAW_MESSAGES: MessageCodec = { decode: decodeRaw, encode: encodeAny }

/** @throws FST_ERR_WS_MESSAGE_SCHEMA */
export function compileMessages ({ receive, send }: MessageSchemas, context: MessageContext): MessageCodec {
  return {
    decode: receive === undefined ? decodeRaw : compileDecode(receive, context),
    encode: send === undefined ? encodeAny : compileEncode(send, context)
  }
}

function decodeRaw (data: RawData, isBinary: boolean): unknown {
  return isBinary ? data : data.toString()
}

function compileDecode (receive: unknown, context: MessageContext): MessageCodec['decode'] {
  const { url, validatorCompiler, onProtoPoisoning = 'error', onConstructorPoisoning = 'error' } = context
  const { json, binary } = readSchema('receive', receive, url)
  const validate = compile('receive', url, json, (schema) => compileUnion(validatorCompiler, { schema, url, httpPart: 'body', name: 'message' }))
  const options = { protoAction: onProtoPoisoning, constructorAction: onConstructorPoisoning }
  return (data, isBinary) => {
    if (isBinary) {
      if (binary) return data
      throw invalidMessage(CloseCode.UnsupportedData, { what: 'message must be text, got a binary one' })
    }
    if (validate === undefined) throw invalidMessage(CloseCode.UnsupportedData, { what: 'message must be binary, got text' })
    const result = validate(parse(data.toString(), options))
    if ('invalid' in result) throw invalidMessage(CloseCode.InvalidPayload, result.invalid)
    return result.value
  }
}

function parse (text: string, options: secureJson.ParseOptions): unknown {
  try {
    return secureJson.parse(text, null, options)
  } catch (error) {
    throw invalidMessage(CloseCode.InvalidPayload, { what: 'message is not JSON', errors: error })
  }
}

function invalidMessage (closeCode: number, { what, errors: cause }: Invalid): Error {
  const validation = Array.isArray(cause) ? cause : undefined
  return Object.assign(FST_ERR_WS_MESSAGE_INVALID(what, { cause }), {
    closeCode, reason: cutReason(what), validation, validationContext: 'message'
  })
}

function compileEncode (send: unknown, { url, serializerCompiler }: MessageContext): MessageCodec['encode'] {
  const { json, binary } = readSchema('send', send, url)
  const serialize = compile('send', url, json, (schema): ((value: unknown) => unknown) => {
    return serializerCompiler({ schema, method: 'GET', url, httpStatus: '101', contentType: JSON_TYPE })
  })
  const kinds = kindsOf(json?.schema)
  return (value) => {
    if (binary && isBinaryData(value)) return value
    if (serialize === undefined) throw FST_ERR_WS_SEND_INVALID(` on the route "${url}"`, `only binary messages are sent here, got ${brief(value)}`)
    return toText(value, serialize, kinds, ` on the route "${url}"`)
  }
}

function encodeAny (value: unknown): EncodedMessage {
  return typeof value === 'string' || isBinaryData(value) ? value : toText(value, JSON.stringify, null, '')
}

function toText (value: unknown, serialize: (value: unknown) => unknown, kinds: Kinds | null, where: string): string {
  let text: unknown
  let isFit: boolean
  try {
    isFit = kinds === null || isOfKind(value, kinds)
    text = isFit && serialize(value)
  } catch (cause) {
    throw FST_ERR_WS_SEND_INVALID(where, messageOf(cause), { cause })
  }
  if (!isFit) throw FST_ERR_WS_SEND_INVALID(where, `the schema takes ${[...kinds as Kinds].join(' or ')}, got ${brief(value)}`)
  // A serializer may make of null what the schema asks for: an empty object, 0, "".
  const isOther = value === undefined || (value === null && text !== 'null')
  if (typeof text !== 'string' || isOther) throw FST_ERR_WS_SEND_INVALID(where, `there is no JSON for ${brief(value)} here`)
  return text
}

function isBinaryData (value: unknown): value is Exclude<EncodedMessage, string> {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer || isBlob(value)
}

function readSchema (name: 'receive' | 'send', schema: unknown, url: string): Accepted {
  if (!isObject(schema) || !isObject(schema.content)) return { json: { schema }, binary: false }
  const { content } = schema
  const unknown = Object.keys(content).find((type) => type !== JSON_TYPE && type !== BINARY_TYPE)
  if (unknown !== undefined || Object.keys(content).length === 0) {
    throw FST_ERR_WS_MESSAGE_SCHEMA(name, url, `"content" has "${JSON_TYPE}" for text, "${BINARY_TYPE}" for binary messages, or both, got ${inspect(unknown)}`)
  }
  const json = content[JSON_TYPE]
  if (json !== undefined && (!isObject(json) || json.schema === undefined)) {
    throw FST_ERR_WS_MESSAGE_SCHEMA(name, url, `content["${JSON_TYPE}"] has no "schema"`)
  }
  return { json: json as Accepted['json'], binary: Object.hasOwn(content, BINARY_TYPE) }
}

function compile<Result> (name: 'receive' | 'send', url: string, json: Accepted['json'], callback: (schema: unknown) => Result): Result | undefined {
  if (json === undefined) return undefined
  try {
    return callback(json.schema)
  } catch (cause) {
    throw FST_ERR_WS_MESSAGE_SCHEMA(name, url, messageOf(cause), { cause })
  }
}

function brief (value: unknown): string {
  return inspect(value, { depth: 0, breakLength: Infinity, maxStringLength: 60 })
}

function messageOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
