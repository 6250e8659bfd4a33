/** A promise that the test settles. */
export interface Deferred<Value = void> {
  promise: Promise<Value>
  resolve: (value: Value) => void
}

export function deferred<Value = void> (): Deferred<Value> {
  let resolve: (value: Value) => void = () => {}
  const promise = new Promise<Value>((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}
