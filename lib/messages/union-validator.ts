// A union of objects that one property tells apart, such as `type`. A validator that tries the members one after the other
// writes into the message on the way: a member that does not fit in the end has removed what the next one asks for. Here the
// property decides which member it is, and only that one is asked.
import { compileValidator, isObject, type SchemaContext, type Validator } from './validator.ts'

type Compiler = Parameters<typeof compileValidator>[0]

interface Member {
  readonly type?: unknown
  readonly nullable?: unknown
  readonly required?: unknown
  readonly properties?: Record<string, { readonly const?: unknown } | undefined>
}

// What may stand beside the members of a union: `type` and `required` are made a part of each of them, the others do not validate.
const BESIDE = new Set(['anyOf', 'oneOf', 'type', 'required', 'discriminator', 'title', 'description'])

/** Compiles a schema; a union of objects with a literal property in common member by member. */
export function compileUnion (compiler: Compiler, context: SchemaContext): Validator {
  const { schema } = context
  const members = isObject(schema) ? membersOf(schema) : null
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
    const validator = isTold ? validators.get(literalOf(data[property])) : first
    return validator === undefined ? unknownMember : validator(data)
  }
}

// What a validator that coerces makes of it, for the member that it is for then; another one refuses it there.
function literalOf (value: unknown): unknown {
  return typeof value === 'object' && value !== null ? undefined : String(value ?? '')
}

// The members, each with what the union itself asks for; `null` if it cannot be taken apart.
function membersOf (schema: Record<string, unknown>): Member[] | null {
  const { anyOf, oneOf, type, required = [] } = schema
  if (!Object.keys(schema).every((keyword) => BESIDE.has(keyword))) return null
  if (anyOf !== undefined && oneOf !== undefined) return null
  const members = anyOf ?? oneOf
  if (!Array.isArray(members) || !members.every(isObject) || !Array.isArray(required)) return null
  // A reference leads out of the member, and may need what stands around it.
  if (JSON.stringify(members).includes('"$ref":')) return null
  const whole = members.map((member) => withOuter(member, type, required))
  return whole.every(takesObjectsOnly) ? whole : null
}

// A member as it is, unless something is to be added: what other compilers know it by is not in its keywords alone.
function withOuter (member: Member, outerType: unknown, outerRequired: unknown[]): Member {
  const typed = member.type === undefined && outerType !== undefined ? { ...member, type: outerType } : member
  if (outerRequired.length === 0) return typed
  return { ...typed, required: [...new Set([...Array.isArray(member.required) ? member.required : [], ...outerRequired])] }
}

function takesObjectsOnly ({ type, nullable }: Member): boolean {
  return type === 'object' && nullable !== true
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
