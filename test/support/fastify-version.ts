// The tests run with other versions of Fastify too (test-neighbours.js), some of which have faults that newer ones have not.
import Fastify from 'fastify'

const { version } = Fastify()

/** Whether the Fastify that runs is this version or a newer one. */
export function isFastify (atLeast: string): boolean {
  return version.localeCompare(atLeast, 'en', { numeric: true }) >= 0
}

/** Options of a test that is skipped with an older Fastify, for a fault that plain requests meet too. */
export function sinceFastify (atLeast: string, fault: string): { skip: string | false } {
  return { skip: isFastify(atLeast) ? false : `Fastify before ${atLeast}: ${fault}` }
}
