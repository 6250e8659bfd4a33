// What kind of JSON a value becomes, and what kinds a schema takes. A compiled serializer believes that a value is of the kind
// that its schema says, and makes `{}` of a string where that is an object. So the kind is checked before.

export type Kinds = ReadonlySet<unknown>

/** The kinds of JSON that a JSON Schema takes at its root; `null` if it does not say so, or is no JSON Schema. */
export function kindsOf (schema: unknown): Kinds | null {
  // A schema of another kind (zod's, Joi's) may have a property of that name too; it is an instance of a class.
  if (typeof schema !== 'object' || schema === null || Object.getPrototypeOf(schema) !== Object.prototype) return null
  const { type, nullable } = schema as { type?: unknown, nullable?: unknown }
  if (typeof type !== 'string' && !Array.isArray(type)) return null
  return new Set([type, nullable === true ? 'null' : []].flat())
}

/** Whether a value becomes JSON of one of these kinds. @throws what its `toJSON()` throws */
export function isOfKind (value: unknown, kinds: Kinds): boolean {
  const kind = kindOf(replacementOf(value))
  return kinds.has(kind) || (kind === 'number' && kinds.has('integer'))
}

// What stands for a value in JSON. The `toJSON()` that this may have in turn is not called, nor by JSON.stringify().
function replacementOf (value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const { toJSON } = value as { toJSON?: unknown }
  return typeof toJSON === 'function' ? toJSON.call(value) : value
}

function kindOf (value: unknown): string {
  if (typeof value === 'bigint') return 'number'
  if (typeof value !== 'object') return typeof value
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : 'object'
}
