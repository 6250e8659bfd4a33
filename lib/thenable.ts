/** Tells what a callback returned: a promise of any library, or not. */
export function isThenable (value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** Calls back with what a function returns, at once unless that is a promise, or with what it throws or rejects with. */
export function settle<Value> (
  produce: () => Value | PromiseLike<Value>, onError: (error: Error) => void, onValue?: (value: Value) => void
): void {
  let result: Value | PromiseLike<Value>
  try {
    result = produce()
  } catch (error) {
    onError(error as Error)
    return
  }
  if (isThenable(result)) void Promise.resolve(result as PromiseLike<Value>).then(onValue, onError)
  else onValue?.(result as Value)
}

/** All of the values; a promise for them if one of them is a promise. */
export function settleAll (values: unknown[]): unknown[] | Promise<unknown[]> {
  return values.some(isThenable) ? Promise.all(values) : values
}
