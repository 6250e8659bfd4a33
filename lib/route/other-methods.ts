// What a handshake by another method than GET meets: a route beside the WebSocket route.
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { FST_ERR_WS_METHOD } from '../errors.ts'
import { onlyHandshakes } from './handshake-constraint.ts'

export type SharedOptions = Omit<RouteOptions, 'handler'>

/** Adds the route for handshakes that are no GET (RFC 6455 section 4.2.1, item 1). Plain requests of other methods are none of our business. */
export function addMethodRoute (instance: FastifyInstance, common: SharedOptions, needs: { validator: boolean, serializer: boolean }): void {
  const { url, config, errorHandler, logLevel, logSerializers, prefixTrailingSlash, childLoggerFactory } = common
  // Fastify makes an instance's default compilers for the first route that has something to compile: empty schemas see to
  // it that they are there for the schemas that only this plugin knows.
  const needsValidator = needs.validator && (common.validatorCompiler ?? instance.validatorCompiler) == null
  const needsSerializer = needs.serializer && (common.serializerCompiler ?? instance.serializerCompiler) == null
  instance.route(defined({
    url,
    config: config && { ...config },
    websocketRoute: true,
    errorHandler,
    logLevel,
    logSerializers,
    prefixTrailingSlash,
    childLoggerFactory,
    method: instance.supportedMethods.filter((method) => method !== 'GET'),
    constraints: onlyHandshakes(common.constraints),
    schema: defined({ hide: true, params: needsValidator ? {} : undefined, response: needsSerializer ? {} : undefined }),
    onRequest: refuseMethod,
    handler: refuseMethod
  }) as unknown as RouteOptions)
}

async function refuseMethod (request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply.header('allow', 'GET')
  throw FST_ERR_WS_METHOD(request.method)
}

function defined (object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))
}
