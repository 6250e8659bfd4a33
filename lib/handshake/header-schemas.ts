// A response schema may have a header schema beside the body's. Fastify compiles the bodies; the headers are compiled
// here, with the validator compiler that the route or its instance has.
import type { FastifySchemaCompiler } from 'fastify'
import { FST_ERR_WS_ACCEPT_HEADERS, FST_ERR_WS_HEADER_SCHEMA, FST_ERR_WS_REJECT_HEADERS } from '../errors.ts'
import { compileValidator, type Invalid, isObject, type Validator } from '../messages/validator.ts'

/**
 * Returns the headers as the schema makes them (coerced, with defaults), or throws.
 *
 * @throws FST_ERR_WS_ACCEPT_HEADERS, FST_ERR_WS_REJECT_HEADERS
 */
export type HeaderValidator = (headers: object) => object

/** What is declared for each status (`'101'`, `'401'`, `'4xx'`, `'default'`); `undefined` for one that has no header schema. */
export type HeaderSchemas = ReadonlyMap<string, unknown>

export interface SplitSchema {
  /** The schema as Fastify takes it. */
  readonly schema: Record<PropertyKey, unknown>
  /** `null` if no response has a header schema. */
  readonly headerSchemas: HeaderSchemas | null
}

/** Takes the header schemas out of `schema.response`, which Fastify reads as body schemas only. */
export function splitHeaderSchemas (schema: object): SplitSchema {
  const { response, ...rest } = schema as { response?: unknown }
  if (!isObject(response)) return { schema: { ...schema }, headerSchemas: null }

  const headerSchemas = new Map<string, unknown>()
  const bodies: Record<string, unknown> = {}
  for (const [status, entry] of Object.entries(response)) {
    const hasHeaders = isObject(entry) && Object.hasOwn(entry, 'headers')
    const { headers, ...body } = hasHeaders ? entry : { headers: undefined }
    headerSchemas.set(status.toLowerCase(), headers)
    if (!hasHeaders) bodies[status] = entry
    else if (hasBodySchema(body)) bodies[status] = body
  }
  const hasAny = [...headerSchemas.values()].some((headers) => headers !== undefined)
  return { schema: { ...rest, response: bodies }, headerSchemas: hasAny ? headerSchemas : null }
}

// What is left of an entry describes a body unless it is a description only.
function hasBodySchema (entry: object): boolean {
  return Object.keys(entry).some((key) => key !== 'description')
}

export class HeaderValidators {
  readonly #validators = new Map<string, HeaderValidator | undefined>()

  constructor (schemas: HeaderSchemas, compiler: FastifySchemaCompiler<unknown>, url: string) {
    for (const [status, schema] of schemas) {
      this.#validators.set(status, schema === undefined ? undefined : compile(status, schema, compiler, url))
    }
  }

  /** The validator for a status, found as Fastify finds a body schema: the exact code, then `4xx`, then `default`. */
  for (status: number): HeaderValidator | undefined {
    if (status === 101) return this.#validators.get('101')
    const key = [String(status), `${Math.floor(status / 100)}xx`, 'default'].find((candidate) => this.#validators.has(candidate))
    return key === undefined ? undefined : this.#validators.get(key)
  }
}

function compile (status: string, schema: unknown, compiler: FastifySchemaCompiler<unknown>, url: string): HeaderValidator {
  try {
    return bindValidator(status, schema, compileValidator(compiler, { schema, url, httpPart: 'headers', name: 'headers' }))
  } catch (cause) {
    throw FST_ERR_WS_HEADER_SCHEMA(status, url, cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function bindValidator (status: string, schema: unknown, validate: Validator): HeaderValidator {
  const declaredNames = namesByLowerCase(schema)
  return (headers) => {
    const result = validate(withDeclaredNames(headers, declaredNames))
    if ('invalid' in result) throw invalidHeaders(status, result.invalid)
    return result.value as object
  }
}

function invalidHeaders (status: string, { what, errors: cause }: Invalid): Error {
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
