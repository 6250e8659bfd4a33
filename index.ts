// The plugin: its registration and its exports. How a route is made stands in lib/route/websocket-route.ts.
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import * as errors from './lib/errors.ts'
import { Quota, Reservation } from './lib/handshake/limits.ts'
import { injectWebSocket, rootOf } from './lib/inject/inject.ts'
import { readLimits, readPluginOptions } from './lib/options/options.ts'
import { addHandshakeConstraint } from './lib/route/handshake-constraint.ts'
import { addWebSocketRoute, admitHandshake, noteHandshakeError, noteRoute, type PluginScope } from './lib/route/websocket-route.ts'
import { whenClosing } from './lib/seams/server-close.ts'
import './lib/seams/tick-shape.ts'
import { Connections } from './lib/server/connections.ts'
import { shutDown } from './lib/server/shutdown.ts'
import { ServerWebSockets } from './lib/server/websockets.ts'
import { attachToServers } from './lib/upgrade/upgrade-listener.ts'
import type { WebSocketPluginOptions } from './types/server-options.ts'

const plugin: FastifyPluginAsync<WebSocketPluginOptions> = async (fastify, options) => {
  if (fastify.hasDecorator('websocketRoute')) throw errors.FST_ERR_WS_ALREADY_REGISTERED()
  // The types have it as optional; Fastify fills in its default of 1 MiB.
  const defaults = readPluginOptions(options, fastify.initialConfig.bodyLimit as number)
  const connections = Connections.of(fastify)
  const quota = new Quota(readLimits(options, { maxPendingHandshakes: 1_000 }), 'server')
  const scope: PluginScope = { connections, defaults, quota }
  const detach = attachToServers(fastify, options.servers ?? [], connections, {
    handshakeTimeout: defaults.handshakeTimeout,
    takePlace: () => Reservation.take([quota])
  })
  if (options.emitter !== undefined) connections.pubSub.use(options.emitter, fastify.log)
  addHandshakeConstraint(fastify)

  fastify.decorate('websockets', new ServerWebSockets(connections, fastify.log))
  fastify.decorate('websocketRoute', function websocketRoute (this: FastifyInstance, path: unknown, routeOptions: unknown) {
    addWebSocketRoute(this, path, routeOptions, scope)
    return this
  })
  fastify.decorate('injectWebSocket', function inject (this: FastifyInstance, path: unknown, injectOptions: unknown = {}) {
    return injectWebSocket(this, path, injectOptions)
  })
  fastify.addHook('onRoute', noteRoute)
  fastify.addHook('onRequest', admitHandshake)
  fastify.addHook('onError', noteHandshakeError)
  fastify.addHook('onReady', async () => {
    connections.pubSub.start()
    // Other hooks run after this one.
    void rootOf(fastify).ready().then(() => connections.begin(), () => {})
  })
  // The one that is added last runs first.
  fastify.addHook('onClose', async () => detach())
  whenClosing(fastify, {
    begin: () => connections.refuseAll(),
    async finish () {
      await shutDown(connections, defaults.closeTimeout)
      connections.pubSub.stop()
    }
  })
}

/** The Fastify plugin: `await fastify.register(fastifyWebsocketRoute)`. */
export const fastifyWebsocketRoute: FastifyPluginAsync<WebSocketPluginOptions> = fp(plugin, {
  fastify: '>=5.8.1 <6',
  name: 'fastify-websocket-route'
})

export default fastifyWebsocketRoute
export { errors }
export type * from './types/close.ts'
export type * from './types/connection.ts'
export type * from './types/diagnostics.ts'
export type * from './types/emitter.ts'
export type * from './types/fastify.ts'
export type * from './types/handshake.ts'
export type * from './types/headers.ts'
export type * from './types/inject.ts'
export type * from './types/messages.ts'
export type * from './types/options.ts'
export type * from './types/schema.ts'
export type * from './types/server-options.ts'
export type * from './types/websockets.ts'
