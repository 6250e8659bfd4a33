// What an upgrade needs of those who decide about it.
import type { Socket } from 'node:net'
import type { UpgradeResponse } from './upgrade-response.ts'

/** A handshake on a route of ours, which has not been answered. */
export interface UpgradeAdmission {
  noteError (error: unknown): void
  /** It has taken too long. */
  expire (): void
  /** It is over before its client leaves. */
  abort (): void
  handleAnswer (statusCode: number): void
}

/** What a response needs of the server that it belongs to. */
export interface UpgradeOwner {
  /** No handshake is accepted any more. */
  readonly isClosing: boolean
  /** The answer is decided: 101 when the WebSocket is open, the status of a refusal, or 0 if there will be none. */
  handleAnswer (response: UpgradeResponse, statusCode: number): void
  /** It is to go on within so many milliseconds. */
  limit (response: UpgradeResponse, timeout: number | false): void
  /** Nothing of it is left to do. */
  handleEnd (response: UpgradeResponse): void
}

/** What a handshake that waits for its turn counts for among the limits. */
export interface UpgradePlace {
  /** May be called again. */
  release (): void
}

/** Makes a WebSocket of the socket; `headerLines` go into the 101. Returns `false` if the socket could not take it. */
export type CompleteUpgrade = (socket: Socket, head: Buffer, headerLines: readonly string[]) => boolean
