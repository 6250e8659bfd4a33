// What an upgrade needs of those who decide about it.
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Reservation } from '../connection/connection-route.ts'
import type { RouteMatcher } from './route-match.ts'
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

/** The app that upgrades are for, whichever server they come through. */
export interface UpgradeOwner {
  /** The routes are complete. */
  readonly isReady: boolean
  /** No handshake is accepted any more. */
  readonly isClosing: boolean
  /** Knows the paths that are ours. */
  readonly matcher: RouteMatcher
  /** A request for an upgrade has come. */
  handleUpgrade (request: IncomingMessage): void
  /** The answers before it are complete, and it has the socket. */
  handleTurn (response: UpgradeResponse): void
  /** The answer is decided: 101 when the WebSocket is open, the status of a refusal, or 0 if there will be none. */
  handleAnswer (response: UpgradeResponse, statusCode: number): void
  /** It waits: it is ended if it has no answer within so many milliseconds, all its waits taken together. `false` sets no end. */
  limit (response: UpgradeResponse, timeout: number | false): void
  /** Nothing of it is left to do. */
  handleEnd (response: UpgradeResponse): void
}

/** For handshakes whose route is not known yet. */
export interface UpgradeLimits {
  readonly handshakeTimeout: number | false
  /** A place among the handshakes that are not decided, or why there is none. */
  takePlace (): Reservation | Error
}

/** Makes a WebSocket of the socket; `headerLines` go into the 101. Returns `false` if the socket could not take it. */
export type CompleteUpgrade = (socket: Socket, head: Buffer, headerLines: readonly string[]) => boolean
