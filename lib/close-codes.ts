// Close codes (RFC 6455 section 7.4) and reasons (section 5.5.1).

export const CloseCode = {
  Normal: 1000,
  GoingAway: 1001,
  UnsupportedData: 1003,
  NoStatusReceived: 1005,
  AbnormalClosure: 1006,
  InvalidPayload: 1007,
  InternalError: 1011
} as const

/** How many bytes of a control frame are left for the reason. */
export const MAX_REASON_BYTES = 123

/** Whether a close frame may carry the code: 1004, 1005, 1006 and 1015 are for reports only. */
export function isSendableCode (code: unknown): code is number {
  if (typeof code !== 'number' || !Number.isInteger(code)) return false
  return (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) || (code >= 3000 && code <= 4999)
}

/** As much of a text as a close frame can carry; no character is cut in two. */
export function cutReason (text: string): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(MAX_REASON_BYTES))
  return text.slice(0, read)
}

// The errors that ws documents for a peer that breaks the protocol, and the codes with which it closes for them.
const PROTOCOL_ERRORS: ReadonlyMap<unknown, number> = new Map([
  ['WS_ERR_EXPECTED_FIN', 1002],
  ['WS_ERR_EXPECTED_MASK', 1002],
  ['WS_ERR_INVALID_CLOSE_CODE', 1002],
  ['WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', 1002],
  ['WS_ERR_INVALID_OPCODE', 1002],
  ['WS_ERR_UNEXPECTED_MASK', 1002],
  ['WS_ERR_UNEXPECTED_RSV_1', 1002],
  ['WS_ERR_UNEXPECTED_RSV_2_3', 1002],
  ['WS_ERR_INVALID_UTF8', 1007],
  ['WS_ERR_TOO_MANY_BUFFERED_PARTS', 1008],
  ['WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH', 1009],
  ['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 1009]
])

/** The code with which ws closes for an error of its receiver; `undefined` for any other error. */
export function protocolCloseCode (error: { code?: unknown }): number | undefined {
  const { code } = error
  // What zlib calls data that is not deflated: Z_DATA_ERROR, Z_BUF_ERROR …
  if (typeof code === 'string' && code.startsWith('Z_')) return CloseCode.InvalidPayload
  return PROTOCOL_ERRORS.get(code)
}
