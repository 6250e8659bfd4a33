// A small message in one buffer (RFC 6455 section 5.2). ws writes its header and its payload apart, which for a small one
// costs more than to copy it (bench/messages.ts).

/** Payloads up to this many bytes are copied behind their header. */
export const MAX_COPIED_BYTES = 4096

const FIN = 0x80
const OPCODE_TEXT = 1
const OPCODE_BINARY = 2
const LENGTH_16 = 126

/** Makes the frame of a whole message, unmasked as a server sends it; `size` is that of the payload, up to `MAX_COPIED_BYTES`. */
export function smallFrame (data: string | NodeJS.ArrayBufferView, size: number, isBinary: boolean): Buffer {
  const isShort = size < LENGTH_16
  const start = isShort ? 2 : 4
  const frame = Buffer.allocUnsafe(start + size)
  frame[0] = FIN | (isBinary ? OPCODE_BINARY : OPCODE_TEXT)
  frame[1] = isShort ? size : LENGTH_16
  if (!isShort) frame.writeUInt16BE(size, 2)
  if (typeof data === 'string') frame.write(data, start, size === data.length ? 'latin1' : 'utf8')
  else frame.set(data instanceof Uint8Array ? data : new Uint8Array(data.buffer, data.byteOffset, size), start)
  return frame
}
