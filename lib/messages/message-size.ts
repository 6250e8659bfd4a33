/** The bytes of a message's payload, in whatever form ws gives or takes it. */
export function sizeOf (data: unknown): number {
  if (typeof data === 'string') return Buffer.byteLength(data)
  if (ArrayBuffer.isView(data)) return data.byteLength
  if (data instanceof Blob) return data.size
  if (Array.isArray(data)) return data.reduce<number>((sum, part) => sum + sizeOf(part), 0)
  const { byteLength } = Object(data) as { byteLength?: unknown }
  return typeof byteLength === 'number' ? byteLength : 0
}
