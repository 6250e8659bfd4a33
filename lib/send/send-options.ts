/** What the send() of ws is told. */
export interface SendOptions {
  readonly fin: boolean
  readonly binary: boolean
  readonly mask: boolean
  readonly compress: boolean
}

const TEXT: SendOptions = Object.freeze({ fin: true, binary: false, mask: false, compress: true })
const BINARY: SendOptions = Object.freeze({ ...TEXT, binary: true })

/** Reads options as ws does: one that is there counts, even if it is `undefined`, and what is no object has none. */
export function readOptions (options: unknown, isText: boolean): SendOptions {
  const defaults = isText ? TEXT : BINARY
  return options === undefined ? defaults : { ...defaults, ...options as Partial<SendOptions> | null }
}
