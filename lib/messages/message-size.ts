import { isBlob } from './payload.ts'

/** The bytes of a message's payload, in whatever form ws gives or takes it. */
export function sizeOf (data: unknown): number {
  if (typeof data === 'string') return Buffer.byteLength(data)
  if (ArrayBuffer.isView(data)) return data.byteLength
  if (Array.isArray(data)) return data.reduce<number>((sum, part) => sum + sizeOf(part), 0)
  return isBlob(data) ? data.size : (data as ArrayBuffer).byteLength
}
