// What validator compilers return differs: Ajv's function gives a boolean and keeps its errors on itself, those of Joi,
// zod and others give `{ value }` or `{ error }`. Here they are all the same.
import type { FastifySchemaCompiler } from 'fastify'

/** What is wrong, as the validator tells it: the first error, and all of them. */
export interface Invalid {
  readonly what: string
  readonly errors: unknown
}

type ValidationResult = { readonly value: unknown } | { readonly invalid: Invalid }

/** Returns the data as the schema makes it (coerced, with defaults), or what is wrong. It may write into the data. */
export type Validator = (data: unknown) => ValidationResult

export interface SchemaContext {
  readonly schema: unknown
  readonly url: string
  /** Which rules of the compiler apply. */
  readonly httpPart: 'body' | 'headers'
  /** What the messages call the data. */
  readonly name: string
}

interface CompiledValidator {
  (data: unknown, context?: object): unknown
  errors?: unknown
}

/** Compiles a schema. @throws what the compiler throws, or a TypeError if it returns no function */
export function compileValidator (compiler: FastifySchemaCompiler<unknown>, { schema, url, httpPart, name }: SchemaContext): Validator {
  const compiled: unknown = compiler({ schema, method: 'GET', url, httpPart })
  if (typeof compiled !== 'function') throw new TypeError('the validator compiler returned no function')
  if ('$async' in compiled) throw new TypeError('"$async" schemas are for validation that takes time, which is not possible here')
  const validate = compiled as CompiledValidator
  // Ajv writes what it has coerced into the parent of the data. An object is not coerced, so it needs none.
  const needsParent = 'schemaEnv' in compiled && !(isObject(schema) && schema.type === 'object')
  return (data) => {
    const parent = { data }
    let result: unknown
    try {
      result = needsParent ? validate(data, withParent(parent)) : validate(data)
    } catch (error) {
      // Data that is nested as deep as a recursive schema allows uses up the stack.
      if (error instanceof RangeError) return { invalid: { what: `${name} cannot be validated: ${error.message}`, errors: error } }
      throw error
    }
    if (isObject(result)) {
      if (result.error != null) return { invalid: describe(result.error, name) }
      if (typeof result.then === 'function') {
        Promise.resolve(result).catch(() => {})
        return { invalid: { what: 'the validator is asynchronous', errors: undefined } }
      }
      return 'value' in result ? { value: result.value } : { value: data }
    }
    return result === false ? { invalid: describe(validate.errors, name) } : { value: parent.data }
  }
}

function withParent (parent: { data: unknown }): object {
  return { instancePath: '', parentData: parent, parentDataProperty: 'data', rootData: parent.data, dynamicAnchors: {} }
}

function describe (errors: unknown, name: string): Invalid {
  const first: unknown = Array.isArray(errors) ? errors[0] : errors
  if (typeof first === 'string') return { what: first, errors }
  if (first instanceof Error) return { what: first.message, errors }
  if (!isObject(first)) return { what: `${name} not valid`, errors }
  return { what: `${name}${String(first.instancePath ?? '')} ${String(first.message)}`, errors }
}

export function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
