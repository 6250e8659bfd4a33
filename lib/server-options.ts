import type { PerMessageDeflateOptions } from 'ws'
import type { LogLevel, LogLevels, OriginOption } from '../types/server-options.ts'

/** The options of a WebSocket server, with every default filled in; `null` is one that follows from another option. */
export interface ServerOptions {
  readonly handshakeTimeout: number | false
  readonly closeTimeout: number
  readonly maxPayload: number
  readonly maxFragments: number | null
  readonly perMessageDeflate: boolean | PerMessageDeflateOptions
  readonly skipUTF8Validation: boolean
  readonly highWaterMark: number
  readonly maxBufferedAmount: number
  readonly cork: boolean
  readonly heartbeat: number | false
  readonly origin: OriginOption
  readonly logLevels: Readonly<Record<keyof LogLevels, LogLevel>>
}
