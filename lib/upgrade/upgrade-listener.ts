// From the `upgrade` event of an http server into Fastify's router: a handshake becomes an ordinary request.
import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { FST_ERR_WS_SERVER_TAKEN } from '../errors.ts'
import { kHandshakeRequest } from '../symbols.ts'
import { noteResponse, whenAnswered } from './pipelined-responses.ts'
import { isHeadWhole, refuseHead, replayAsHttp } from './plain-http.ts'
import type { RouteMatcher } from './route-match.ts'
import { guard, unguard } from './socket-guard.ts'
import { type UpgradeOwner, UpgradeResponse } from './upgrade-response.ts'

/** What the upgrades of a server, or of several, need of what they share. */
export interface UpgradeListenerOwner extends UpgradeOwner {
  /** Knows the paths that are ours. */
  readonly matcher: RouteMatcher
  /** A request for an upgrade has come. */
  handleUpgrade (request: IncomingMessage): void
  /** The answers before it are complete, and it has the socket. */
  handleTurn (response: UpgradeResponse): void
  /** A handshake waits for something: it is ended when it has not been answered for so long. */
  limit (response: UpgradeResponse, timeout: number | false): void
}

const attached = new WeakMap<Server, UpgradeListener>()

/**
 * Listens for the upgrades of the instance's server, and of further ones; `timeout` is for handshakes whose route is not
 * known yet. However many instances on a server have registered the plugin, it has one listener.
 *
 * @throws FST_ERR_WS_SERVER_TAKEN
 */
export function attachToServers (fastify: FastifyInstance, servers: readonly Server[], owner: UpgradeListenerOwner, timeout: number | false): void {
  for (const server of [fastify.server, ...servers]) {
    const listener = attached.get(server)
    if (listener === undefined) attached.set(server, new UpgradeListener(server, fastify, owner, timeout))
    else if (!listener.isOf(fastify)) throw FST_ERR_WS_SERVER_TAKEN()
  }
}

class UpgradeListener {
  readonly #server: Server
  readonly #fastify: FastifyInstance
  readonly #owner: UpgradeListenerOwner
  readonly #timeout: number | false

  constructor (server: Server, fastify: FastifyInstance, owner: UpgradeListenerOwner, timeout: number | false) {
    this.#server = server
    this.#fastify = fastify
    this.#owner = owner
    this.#timeout = timeout
    server.on('request', noteResponse)
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => this.#handleUnclaimed(request, socket, head))
    this.#claimHandshakes()
  }

  /** Whether it leads to the router of an instance, which all children of one app share. */
  isOf ({ routing }: FastifyInstance): boolean {
    return this.#fastify.routing === routing
  }

  // Others that listen for upgrades take every one that they see (@fastify/websocket, @fastify/http-proxy), or cut it off
  // when it takes long (socket.io). There is no way to stop an event on its way through its listeners, so a handshake for
  // a route of ours does not become one where others listen.
  #claimHandshakes (): void {
    const server = this.#server
    const emit = server.emit
    server.emit = (event: string, ...args: unknown[]): boolean => {
      if (event === 'upgrade' && server.listenerCount('upgrade') > 1) {
        const [request, socket, head] = args as [IncomingMessage, Socket, Buffer]
        if (isHandshake(request) && this.#isOurs(request)) {
          this.#handleHandshake(request, socket, head)
          return true
        }
      }
      return Reflect.apply(emit, server, [event, ...args])
    }
  }

  #isOurs (request: IncomingMessage): boolean {
    return this.#owner.matcher.matches(this.#fastify, request)
  }

  #handleUnclaimed (request: IncomingMessage, socket: Socket, head: Buffer): void {
    if (this.#server.listenerCount('upgrade') > 1) return
    if (isHandshake(request)) {
      this.#handleHandshake(request, socket, head)
      return
    }
    guard(socket)
    if (socket === request.socket && request.readableLength === 0) this.#handOver(request, socket, head)
    // From Node 26 on the body is parsed already, or still: such a request is answered as it is, and closed.
    else this.#answerParsed(request, head)
  }

  #answerParsed (request: IncomingMessage, head: Buffer): void {
    const response = this.#createResponse(request, request.socket, head)
    whenAnswered(request.socket, response, () => {
      this.#owner.handleTurn(response)
      // The plain requests of a further server are its own.
      if (this.#server === this.#fastify.server) this.#fastify.routing(request, response)
      else this.#server.emit('request', request, response)
    })
  }

  #handleHandshake (request: IncomingMessage, socket: Socket, head: Buffer): void {
    guard(socket)
    request[kHandshakeRequest] = true
    const response = this.#createResponse(request, socket, head)
    whenAnswered(socket, response, () => {
      this.#owner.handleTurn(response)
      this.#fastify.routing(request, response)
      response.watch()
      // A hook waits that comes before those of the plugin.
      if (response.isPending && response.admission === null && this.#isOurs(request)) this.#owner.limit(response, this.#timeout)
    })
  }

  #createResponse (request: IncomingMessage, socket: Socket, head: Buffer): UpgradeResponse {
    this.#owner.handleUpgrade(request)
    return new UpgradeResponse(request, socket, head, this.#owner)
  }

  // A request for another protocol.
  #handOver (request: IncomingMessage, socket: Socket, head: Buffer): void {
    const turn = new ServerResponse(request)
    whenAnswered(socket, turn, () => {
      if (!isHeadWhole(this.#server, request)) {
        refuseHead(turn, socket)
        return
      }
      turn.detachSocket(socket)
      // Node adds its own; one more for each request on the socket would be a leak.
      unguard(socket)
      replayAsHttp(this.#server, request, socket, head)
    })
  }
}

function isHandshake (request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket'
}
