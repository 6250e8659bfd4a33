// A message in one buffer (RFC 6455 section 5.2). ws writes its header and its payload apart, which for a small one costs
// more than to copy it (bench/messages.ts, echoes of 32 B and 1 KiB), and for one that goes to many would be done for each of
// them (bench/fan-out.ts).

/** Payloads up to this many bytes are copied behind their header, also for one connection. */
export const MAX_COPIED_BYTES = 4096

const FIN = 0x80
const OPCODE_TEXT = 1
const OPCODE_BINARY = 2
const LENGTH_16 = 126
const LENGTH_64 = 127
const MAX_16 = 65_535

/** Makes the frame of a whole message, unmasked as a server sends it; `size` is that of the payload in bytes. */
export function frameOf (data: string | NodeJS.ArrayBufferView, size: number, isBinary: boolean): Buffer {
  const start = size < LENGTH_16 ? 2 : size <= MAX_16 ? 4 : 10
  const frame = Buffer.allocUnsafe(start + size)
  frame[0] = FIN | (isBinary ? OPCODE_BINARY : OPCODE_TEXT)
  frame[1] = start === 2 ? size : start === 4 ? LENGTH_16 : LENGTH_64
  if (start === 4) frame.writeUInt16BE(size, 2)
  else if (start === 10) frame.writeBigUInt64BE(BigInt(size), 2)
  if (typeof data === 'string') frame.write(data, start, size === data.length ? 'latin1' : 'utf8')
  else frame.set(data instanceof Uint8Array ? data : new Uint8Array(data.buffer, data.byteOffset, size), start)
  return frame
}
