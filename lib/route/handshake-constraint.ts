// A route for handshakes can have the path of a route for plain requests: a constraint of the router tells them apart.
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { kHandshakeRequest } from '../symbols.ts'

type Strategy = Parameters<FastifyInstance['addConstraintStrategy']>[0]

const NAME = 'websocketHandshake'

export function addHandshakeConstraint (fastify: FastifyInstance): void {
  if (fastify.hasConstraintStrategy(NAME)) return
  fastify.addConstraintStrategy({
    name: NAME,
    mustMatchWhenDerived: false,
    // What find-my-way wants of a storage is what a Map has.
    storage: () => new Map() as unknown as ReturnType<Strategy['storage']>,
    // `undefined` stands for a request that is no handshake; the types do not know it.
    deriveConstraint: (request) => (request as IncomingMessage)[kHandshakeRequest] as unknown as string
  })
}

/** The constraints of a route, and that it is for handshakes only. */
export function onlyHandshakes (constraints: Record<string, unknown> | undefined): Record<string, unknown> {
  return { ...constraints, [NAME]: true }
}
