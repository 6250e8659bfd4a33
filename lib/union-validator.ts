// A union of objects that one property tells apart, such as `type`. A validator that tries the members one after the other
// writes into the message on the way: a member that does not fit in the end has removed what the next one asks for. Here the
// property decides which member it is, and only that one is asked.
import { compileValidator, type SchemaContext, type Validator } from './validator.ts'

type Compiler = Parameters<typeof compileValidator>[0]

interface Member {
  readonly required?: unknown
  readonly properties?: Record<string, { readonly const?: unknown } | undefined>
}

// Keywords that say nothing that the members do not say themselves.
const HARMLESS = new Set(['anyOf', 'oneOf', 'type', 'required', 'discriminator', 'title', 'description'])

/** Compiles a schema; a union of objects with a literal property in common member by member. */
export function compileUnion (compiler: Compiler, context: SchemaContext): Validator {
  const members = membersOf(context.schema)
  const property = members === null ? undefined : discriminatorOf(members)
  if (members === null || property === undefined) return compileValidator(compiler, context)

  const validators = new Map(members.map((schema): [unknown, Validator] => {
    return [schema.properties?.[property]?.const, compileValidator(compiler, { ...context, schema })]
  }))
  const [first] = validators.values() as Iterable<Validator>
  const unknownMember = describeUnknown(property, [...validators.keys()], context.name)
  return (data) => {
    // The first member says what is wrong with something that is no object, and with one that lacks the property.
    const isTold = isObject(data) && Object.hasOwn(data, property)
    const validator = isTold ? validators.get(data[property]) : first
    return validator === undefined ? unknownMember : validator(data)
  }
}

function membersOf (schema: unknown): Member[] | null {
  if (!isObject(schema) || !Object.keys(schema).every((keyword) => HARMLESS.has(keyword))) return null
  const members = schema.anyOf ?? schema.oneOf
  if (!Array.isArray(members) || !members.every(isObject)) return null
  // A reference leads out of the member, and may need what stands around it.
  return JSON.stringify(members).includes('"$ref":') ? null : members
}

// A property that is required by all, and has another literal in each.
function discriminatorOf (members: readonly Member[]): string | undefined {
  return Object.keys(members[0]?.properties ?? {}).find((name) => {
    const literals = members.map(({ properties }) => properties?.[name]?.const)
    const isRequired = members.every(({ required }) => Array.isArray(required) && required.includes(name))
    return isRequired && literals.every((literal) => typeof literal === 'string') && new Set(literals).size === members.length
  })
}

function describeUnknown (property: string, allowedValues: unknown[], name: string): ReturnType<Validator> {
  const message = `must be one of ${allowedValues.map((value) => JSON.stringify(value)).join(', ')}`
  const errors = [{ instancePath: `/${property}`, schemaPath: '#/discriminator', keyword: 'discriminator', params: { allowedValues }, message }]
  return { invalid: { what: `${name}/${property} ${message}`, errors } }
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
