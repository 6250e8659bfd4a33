import type { FastifyReply, FastifyRequest } from 'fastify'

/**
 * Ends a request whose client has gone. Nobody reads the answer, but `onSend` hooks wait for one: a tracing plugin ends its
 * span there. 499 is what nginx logs for a client that has closed the request.
 */
export function finishAbandoned ({ raw }: FastifyRequest, reply: FastifyReply): void {
  if (raw.destroyed && !reply.sent) reply.code(499).send()
}
