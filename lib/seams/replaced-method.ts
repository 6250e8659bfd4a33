/**
 * Puts a function in the place of a method of an object. Returns what takes it away again, and returns whether it has: who has wrapped it
 * meanwhile goes on to call it. `null` if it cannot be replaced.
 */
export function replaceMethod (object: object, name: string, replacement: unknown): (() => boolean) | null {
  const own = Object.getOwnPropertyDescriptor(object, name)
  if (!Reflect.set(object, name, replacement)) return null
  return () => {
    if (Reflect.get(object, name) !== replacement) return false
    if (own === undefined) Reflect.deleteProperty(object, name)
    else Object.defineProperty(object, name, own)
    return true
  }
}
