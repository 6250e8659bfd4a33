// What an application throws may be anything, also something that cannot be read or logged: a frozen error (pino marks what it
// serialises), a getter that throws, a revoked proxy. Whatever it is, nothing here throws.
import { inspect } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'

/** What an error says about itself. */
export interface ErrorFacts {
  readonly code?: unknown
  readonly closeCode?: unknown
  readonly reason?: unknown
}

/** Makes an object of what was thrown. */
export function toObject (thrown: unknown): object {
  return typeof thrown === 'object' && thrown !== null ? thrown : new Error(attempt(() => String(thrown)))
}

export function readFacts (error: ErrorFacts): ErrorFacts {
  try {
    const { code, closeCode, reason } = error
    return { code, closeCode, reason }
  } catch {
    return {}
  }
}

/** Logs an error, or that it cannot be logged. */
export function logError (log: FastifyBaseLogger, level: 'debug' | 'warn' | 'error', fields: { readonly err: unknown, readonly connId?: number }, message: string): void {
  try {
    log[level](fields, message)
  } catch {
    const err = new Error(`What was thrown cannot be logged: ${attempt(() => inspect(fields.err, { depth: 0 }))}`)
    // A logger that fails here too has failed by itself, and there is nobody else to tell.
    attempt(() => { log[level]({ ...fields, err }, message) })
  }
}

function attempt<Result> (read: () => Result): Result | '(unreadable)' {
  try {
    return read()
  } catch {
    return '(unreadable)'
  }
}
