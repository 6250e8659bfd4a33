// The plugin: its registration and its exports. How a route is made stands in lib/websocket-route.ts.
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import * as errors from './lib/errors.ts'
import { addHandshakeConstraint } from './lib/handshake-constraint.ts'
import { readPluginOptions } from './lib/options.ts'
import { shutDown } from './lib/shutdown.ts'
import { attachUpgradeListener } from './lib/upgrade.ts'
import { addWebSocketRoute } from './lib/websocket-route.ts'
import type { WebSocketPluginOptions } from './types/options.ts'

const plugin: FastifyPluginAsync<WebSocketPluginOptions> = async (fastify, options) => {
  if (fastify.hasDecorator('websocketRoute')) throw errors.FST_ERR_WS_ALREADY_REGISTERED()
  // The types have it as optional; Fastify fills in its default of 1 MiB.
  const defaults = readPluginOptions(options, fastify.initialConfig.bodyLimit as number)
  const listener = attachUpgradeListener(fastify)
  addHandshakeConstraint(fastify)

  fastify.decorate('websocketRoute', function websocketRoute (this: FastifyInstance, path: unknown, routeOptions: unknown) {
    addWebSocketRoute(this, path, routeOptions, defaults, listener)
    return this
  })
  fastify.addHook('preClose', () => shutDown(listener, defaults.closeTimeout))
}

/** The Fastify plugin: `await fastify.register(fastifyWebsocketRoute)`. */
export const fastifyWebsocketRoute: FastifyPluginAsync<WebSocketPluginOptions> = fp(plugin, {
  fastify: '>=5.8.0 <6',
  name: 'fastify-websocket-route'
})

export default fastifyWebsocketRoute
export { errors }
export type * from './types/close.ts'
export type * from './types/connection.ts'
export type * from './types/fastify.ts'
export type * from './types/handshake.ts'
export type * from './types/headers.ts'
export type * from './types/messages.ts'
export type * from './types/options.ts'
export type * from './types/schema.ts'
