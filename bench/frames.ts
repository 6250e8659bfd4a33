// Frames as they are on the wire (RFC 6455 section 5.2), made before the load begins.
import { constants, deflateRawSync } from 'node:zlib'

const RSV1 = 0x40
const TAIL_BYTES = 4
const MASK = Buffer.from([0x12, 0x34, 0x56, 0x78])

export function frame (payload: Buffer, isBinary: boolean): Buffer {
  return Buffer.concat([header(payload.length, isBinary), payload])
}

/** Compressed, and without what others were before (RFC 7692 section 7.2.1). */
export function deflatedFrame (payload: Buffer, isBinary: boolean): Buffer {
  const deflated = deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -TAIL_BYTES)
  const whole = frame(deflated, isBinary)
  whole.writeUInt8(whole.readUInt8(0) | RSV1, 0)
  return whole
}

export function maskedFrame (payload: Buffer, isBinary: boolean): Buffer {
  const start = header(payload.length, isBinary)
  start.writeUInt8(start.readUInt8(1) | 0x80, 1)
  return Buffer.concat([start, MASK, payload.map((byte, i) => byte ^ MASK.readUInt8(i % 4))])
}

function header (length: number, isBinary: boolean): Buffer {
  const opcode = isBinary ? 0x82 : 0x81
  if (length < 126) return Buffer.from([opcode, length])
  if (length < 65_536) return Buffer.from([opcode, 126, length >> 8, length & 0xff])
  const long = Buffer.alloc(10)
  long.set([opcode, 127])
  long.writeBigUInt64BE(BigInt(length), 2)
  return long
}
