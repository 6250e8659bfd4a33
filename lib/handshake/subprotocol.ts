// RFC 9110 section 5.6.2: what a subprotocol may be made of (RFC 6455 section 4.1, item 10).
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

export function isToken (value: string): boolean {
  return TOKEN.test(value)
}

/** The subprotocols in a `Sec-WebSocket-Protocol` request header, in the client's order; `null` if it is malformed or names one twice. */
export function parseProtocols (header: string): readonly string[] | null {
  const protocols = header.split(',').map(trimWhitespace)
  if (!protocols.every(isToken) || new Set(protocols).size !== protocols.length) return null
  return protocols
}

/** The first of the server's protocols, in its order of preference, that the client offered. */
export function chooseProtocol (preferred: readonly string[], offered: readonly string[]): string | undefined {
  return preferred.find((protocol) => offered.includes(protocol))
}

// RFC 9110 section 5.6.3: only spaces and tabs are white space in a field, unlike in String.prototype.trim.
function trimWhitespace (value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, '')
}
