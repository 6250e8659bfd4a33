// What ws takes as the payload of a message, a ping or a pong: almost anything.

export type Payload = string | NodeJS.ArrayBufferView | Blob

const EMPTY = Buffer.alloc(0)

/** Makes of what was given to `send()` what ws makes of it. @throws TypeError what Buffer.from() throws for what is no data */
export function toPayload (data: unknown): Payload {
  if (isInMemory(data)) return data
  if (typeof data === 'number') return String(data)
  if (!data) return EMPTY
  return isBlob(data) ? data : Buffer.from(data as ArrayBuffer)
}

/** The bytes of a payload, in whatever form ws gives or takes it. */
export function sizeOf (data: unknown): number {
  if (typeof data === 'string') return Buffer.byteLength(data)
  if (ArrayBuffer.isView(data)) return data.byteLength
  if (Array.isArray(data)) return data.reduce<number>((sum, part) => sum + sizeOf(part), 0)
  return isBlob(data) ? data.size : (data as ArrayBuffer).byteLength
}

/** Whether it can be written at once. */
export function isInMemory (data: unknown): data is Exclude<Payload, Blob> {
  return typeof data === 'string' || ArrayBuffer.isView(data)
}

/** Whether it takes time to read: a Blob of Node.js or of another library, as ws tells it. */
export function isBlob (value: unknown): value is Blob {
  if (typeof value !== 'object' || value === null) return false
  const { arrayBuffer } = value as Partial<Blob>
  return typeof arrayBuffer === 'function' && isNamedBlob(value)
}

function isNamedBlob (value: object): boolean {
  const { stream, type, [Symbol.toStringTag]: tag } = value as Partial<Record<string | symbol, unknown>>
  return typeof stream === 'function' && typeof type === 'string' && (tag === 'Blob' || tag === 'File')
}
