// What is published by node:diagnostics_channel. A channel that nobody subscribes to costs the look at `hasSubscribers`.
import { type Channel, channel, type TracingChannel, tracingChannel } from 'node:diagnostics_channel'

const PREFIX = 'fastify-websocket-route'

/**
 * A handshake on a WebSocket route: `start` and `end` around the beginning of the request, `asyncStart` and `asyncEnd` at
 * its answer, `error` before those if an error was answered. The names are `tracing:fastify-websocket-route.handshake:start`
 * and so on.
 */
export const handshakeChannel: TracingChannel<object> = tracingChannel(`${PREFIX}.handshake`)
export const openChannel: Channel = channel(`${PREFIX}.open`)
export const receivedChannel: Channel = channel(`${PREFIX}.message.received`)
export const sentChannel: Channel = channel(`${PREFIX}.message.sent`)
export const closeChannel: Channel = channel(`${PREFIX}.close`)
export const errorChannel: Channel = channel(`${PREFIX}.error`)
