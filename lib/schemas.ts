// A response schema may have a header schema beside the body's. Fastify compiles the bodies; the headers are compiled
// here, with the validator compiler that the route or its instance has.
import type { FastifySchemaCompiler } from 'fastify'
import { FST_ERR_WS_ACCEPT_HEADERS, FST_ERR_WS_HEADER_SCHEMA, FST_ERR_WS_REJECT_HEADERS } from './errors.ts'

/**
 * Returns the headers as the schema makes them (coerced, with defaults), or throws.
 *
 * @throws FST_ERR_WS_ACCEPT_HEADERS, FST_ERR_WS_REJECT_HEADERS
 */
export type HeaderValidator = (headers: object) => object

/** Header schemas by status: `'101'`, `'401'`, `'4xx'`, `'default'`. */
export type HeaderSchemas = ReadonlyMap<string, unknown>

export interface SplitSchema {
  /** The schema as Fastify takes it. */
  readonly schema: Record<PropertyKey, unknown>
  readonly headerSchemas: HeaderSchemas
}

/** Takes the header schemas out of `schema.response`, which Fastify reads as body schemas only. */
export function splitHeaderSchemas (schema: object): SplitSchema {
  const headerSchemas = new Map<string, unknown>()
  const { response, ...rest } = schema as { response?: unknown }
  if (!isObject(response)) return { schema: { ...schema }, headerSchemas }

  const bodies: Record<string, unknown> = {}
  for (const [status, entry] of Object.entries(response)) {
    if (!isObject(entry) || !Object.hasOwn(entry, 'headers')) {
      bodies[status] = entry
      continue
    }
    const { headers, ...body } = entry
    headerSchemas.set(status.toLowerCase(), headers)
    if (hasBodySchema(body)) bodies[status] = body
  }
  return { schema: { ...rest, response: bodies }, headerSchemas }
}

// What is left of an entry describes a body unless it is a description only.
function hasBodySchema (entry: object): boolean {
  return Object.keys(entry).some((key) => key !== 'description')
}

export class HeaderValidators {
  readonly #validators = new Map<string, HeaderValidator>()

  constructor (schemas: HeaderSchemas, compiler: FastifySchemaCompiler<unknown>, url: string) {
    for (const [status, schema] of schemas) {
      try {
        const validate: unknown = compiler({ schema, method: 'GET', url, httpPart: 'headers' })
        if (typeof validate !== 'function') throw new TypeError('the validator compiler returned no function')
        this.#validators.set(status, bindValidator(status, schema, validate as Validate))
      } catch (cause) {
        throw FST_ERR_WS_HEADER_SCHEMA(status, url, messageOf(cause), { cause })
      }
    }
  }

  /** The validator for a status, found as Fastify finds a body schema: the exact code, then `4xx`, then `default`. */
  for (status: number): HeaderValidator | undefined {
    const exact = this.#validators.get(String(status))
    if (exact !== undefined || status === 101) return exact
    return this.#validators.get(`${Math.floor(status / 100)}xx`) ?? this.#validators.get('default')
  }
}

// What validator compilers return: Ajv's boolean with `errors`, or `{ value }` and `{ error }` of Joi, zod and others.
interface Validate {
  (data: unknown): unknown
  errors?: unknown
}

function bindValidator (status: string, schema: unknown, validate: Validate): HeaderValidator {
  const declaredNames = namesByLowerCase(schema)
  return (headers) => {
    const data = withDeclaredNames(headers, declaredNames)
    const result = validate(data)
    if (isObject(result)) {
      if (result.error != null) throw invalidHeaders(status, messageOf(result.error), result.error)
      if (typeof result.then === 'function') throw invalidHeaders(status, 'the validator is asynchronous', undefined)
      return isObject(result.value) ? result.value : data
    }
    if (result === false) throw invalidHeaders(status, describeErrors(validate.errors), validate.errors)
    return data
  }
}

function invalidHeaders (status: string, what: string, cause: unknown): Error {
  return status === '101'
    ? FST_ERR_WS_ACCEPT_HEADERS(what, { cause })
    : FST_ERR_WS_REJECT_HEADERS(status, what, { cause })
}

// Field names are case-insensitive (RFC 9110 section 5.1) and schemas are not: a header takes the case of the schema.
function withDeclaredNames (headers: object, declared: ReadonlyMap<string, string>): Record<string, unknown> {
  const data: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(headers)) {
    // A copy, lists too: coercion writes into what it validates.
    data[declared.get(name.toLowerCase()) ?? name] = Array.isArray(value) ? [...value] : value
  }
  return data
}

function namesByLowerCase (schema: unknown): ReadonlyMap<string, string> {
  const properties = isObject(schema) && isObject(schema.properties) ? Object.keys(schema.properties) : []
  return new Map(properties.map((name) => [name.toLowerCase(), name]))
}

function describeErrors (errors: unknown): string {
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined
  if (!isObject(first)) return 'they are not valid'
  return `headers${String(first.instancePath ?? '')} ${String(first.message)}`
}

function messageOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
