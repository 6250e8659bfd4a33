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
  const frame = Buffer.allocUnsafe(frameLength(size))
  writeFrame(frame, 0, data, size, isBinary)
  return frame
}

/** The length of the frame of a message with so many bytes. */
export function frameLength (size: number): number {
  return headerLength(size) + size
}

/** Writes the frame of a whole message into a buffer that has room for it. */
export function writeFrame (buffer: Buffer, at: number, data: string | NodeJS.ArrayBufferView, size: number, isBinary: boolean): void {
  const length = headerLength(size)
  const start = at + length
  buffer[at] = FIN | (isBinary ? OPCODE_BINARY : OPCODE_TEXT)
  buffer[at + 1] = length === 2 ? size : length === 4 ? LENGTH_16 : LENGTH_64
  if (length === 4) buffer.writeUInt16BE(size, at + 2)
  else if (length === 10) buffer.writeBigUInt64BE(BigInt(size), at + 2)
  if (typeof data === 'string') buffer.write(data, start, size === data.length ? 'latin1' : 'utf8')
  else buffer.set(data instanceof Uint8Array ? data : new Uint8Array(data.buffer, data.byteOffset, size), start)
}

function headerLength (size: number): number {
  if (size < LENGTH_16) return 2
  return size <= MAX_16 ? 4 : 10
}
