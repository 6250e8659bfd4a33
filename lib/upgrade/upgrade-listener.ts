// The `upgrade` event of an http server: which app an upgrade is for.
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { FST_ERR_WS_SERVER_TAKEN } from '../errors.ts'
import { canMakeResponses, createResponse } from '../seams/node-response.ts'
import { EmitInterception } from '../seams/node-server-emit.ts'
import { AppUpgrades, isHandshake } from './app-upgrades.ts'
import { takeTurn } from './pipelined-responses.ts'
import { refuseByHand, refuseUpgrade } from './plain-http.ts'
import { guard, leaveToOthers } from './socket-guard.ts'
import type { UpgradeLimits, UpgradeOwner } from './upgrade-owner.ts'

const listenerOf = new WeakMap<Server, UpgradeListener>()

/**
 * Listens for the upgrades of the instance's server, and of further ones. However many instances on a server have registered
 * the plugin, it has one listener. Returns what lets go of all of them.
 *
 * @throws FST_ERR_WS_SERVER_TAKEN
 */
export function attachToServers (fastify: FastifyInstance, servers: readonly Server[], owner: UpgradeOwner, limits: UpgradeLimits): () => void {
  const listeners = [fastify.server, ...servers].map((server) => {
    let listener = listenerOf.get(server)
    if (listener === undefined) listenerOf.set(server, listener = new UpgradeListener(server))
    return listener
  })
  if (listeners.some((listener) => listener.isTakenFrom(fastify))) throw FST_ERR_WS_SERVER_TAKEN()
  for (const listener of listeners) listener.add(fastify, owner, limits)
  return () => { for (const listener of listeners) listener.remove(fastify) }
}

class UpgradeListener {
  readonly #server: Server
  readonly #emit: EmitInterception
  // The newest first. There are several while one takes over from another (@fastify/restartable).
  #apps: AppUpgrades[] = []
  #hasWarned = false

  constructor (server: Server) {
    this.#server = server
    this.#emit = new EmitInterception(server, { claim: this.#claim, handleUnheard })
  }

  /** Whether it is another app's, which is to stay. Apps whose `serverFactory` makes the same server mean to share it. */
  isTakenFrom (fastify: FastifyInstance): boolean {
    const isShared = this.#server === fastify.server
    return this.#apps.some((app) => !app.isOf(fastify) && !app.isClosing && !(isShared && app.isByFactory))
  }

  add (fastify: FastifyInstance, owner: UpgradeOwner, limits: UpgradeLimits): void {
    if (this.#apps.some((app) => app.isOf(fastify))) return
    if (this.#apps.length === 0) {
      this.#server.on('upgrade', this.#handleUpgrade)
      this.#emit.start()
    }
    this.#apps = [new AppUpgrades(this.#server, fastify, owner, limits), ...this.#apps]
  }

  remove (fastify: FastifyInstance): void {
    for (const app of this.#apps) if (app.isOf(fastify)) app.detach()
    this.#apps = this.#apps.filter((app) => !app.isOf(fastify))
    if (this.#apps.length > 0) return
    this.#server.off('upgrade', this.#handleUpgrade)
    this.#emit.stop()
  }

  readonly #claim = (request: IncomingMessage, socket: Socket, head: Buffer): boolean => {
    if (!this.#isShared) return false
    const app = this.#choose(request, true)
    app?.take(request, socket, head)
    return app !== null
  }

  readonly #handleUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    const isShared = this.#isShared
    const app = this.#choose(request, isShared)
    if (app === null) {
      const { handshakeTimeout } = (this.#apps[0] as AppUpgrades).limits
      leaveToOthers(socket, handshakeTimeout)
      return
    }
    if (isShared && !this.#hasWarned) {
      this.#hasWarned = true
      app.log.warn('server.emit is not ours: other listeners for "upgrade" see handshakes for WebSocket routes, too')
    }
    app.take(request, socket, head)
  }

  get #isShared (): boolean {
    return this.#server.listenerCount('upgrade') > this.#server.listenerCount('upgrade', this.#handleUpgrade)
  }

  // Where others listen, what is for no route of ours is theirs.
  #choose (request: IncomingMessage, isShared: boolean): AppUpgrades | null {
    const [first] = this.#apps as [AppUpgrades]
    if (this.#apps.length === 1 && !isShared) return first
    const live = this.#apps.filter(({ isLive }) => isLive)
    const match = isHandshake(request) ? [...live, ...this.#apps].find((app) => app.matches(request)) : undefined
    return match ?? (isShared ? null : live[0] ?? first)
  }
}

// A second server passes on what it gets, also to a server on which nobody listens any more.
function handleUnheard (request: IncomingMessage, socket: Socket, head: Buffer): void {
  guard(socket)
  if (!canMakeResponses()) {
    refuseByHand(socket)
    return
  }
  const response = createResponse(request)
  takeTurn(response, socket, head, true, () => refuseUpgrade(response, socket))
}
