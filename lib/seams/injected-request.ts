// fastify.inject() hands Fastify a request that light-my-request has made, not a parser of node:http (light-my-request/lib/request.js,
// CustomRequest and Request are streams of its own). Fastify does not pass its isInjection() on. Only the words of a message hang on it:
// where it is not so any more, that of a 426 is the one for everybody (test/inject/injected-client.test.ts).
import { IncomingMessage } from 'node:http'

export function isInjected (request: IncomingMessage): boolean {
  return request.httpVersionMajor === 1 && !(request instanceof IncomingMessage)
}
