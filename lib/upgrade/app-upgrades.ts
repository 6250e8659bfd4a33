// From an upgrade into the router of one app: a handshake becomes an ordinary request.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { canMakeResponses, createResponse, takeSocket } from '../seams/node-response.ts'
import { canOpenSockets } from '../seams/server-websocket.ts'
import { kHandshakeRequest } from '../symbols.ts'
import { noteResponse, takeTurn } from './pipelined-responses.ts'
import { isHeadWhole, refuseByHand, refuseHead, replayAsHttp } from './plain-http.ts'
import { guard, unguard } from './socket-guard.ts'
import type { UpgradeLimits, UpgradeOwner } from './upgrade-owner.ts'
import { UpgradeResponse } from './upgrade-response.ts'

const ORIGIN = /^(?:https?|wss?):\/\/(?:[^/?#@]*@)?(?<host>[^/?#]+)/i

/** The upgrades that one server has for one app. */
export class AppUpgrades {
  readonly limits: UpgradeLimits
  readonly log: FastifyInstance['log']
  readonly #server: Server
  readonly #fastify: FastifyInstance
  readonly #owner: UpgradeOwner

  constructor (server: Server, fastify: FastifyInstance, owner: UpgradeOwner, limits: UpgradeLimits) {
    this.limits = limits
    this.log = fastify.log
    this.#server = server
    this.#fastify = fastify
    this.#owner = owner
    server.on('request', this.#noteResponse)
    if (!canMakeResponses()) this.log.error('Node.js makes responses in another way than it did: every WebSocket handshake is answered with 503')
    else if (!canOpenSockets()) this.log.error('ws opens sockets in another way than it did: every WebSocket handshake is answered with 503')
  }

  detach (): void {
    this.#server.off('request', this.#noteResponse)
  }

  /** Whether it leads to the router of an instance, which all children of one app share. */
  isOf ({ routing }: FastifyInstance): boolean {
    return this.#fastify.routing === routing
  }

  /** Whether the server is the one that the app was made with. */
  get isByFactory (): boolean {
    return this.#server === this.#fastify.server
  }

  get isClosing (): boolean {
    return this.#owner.isClosing
  }

  get isLive (): boolean {
    return this.#owner.isReady && !this.#owner.isClosing
  }

  matches (request: IncomingMessage): boolean {
    return this.#owner.matcher.matches(this.#fastify, targetOf(request))
  }

  take (request: IncomingMessage, socket: Socket, head: Buffer): void {
    guard(socket)
    if (!canMakeResponses() || !canOpenSockets()) refuseByHand(socket)
    else if (isHandshake(request)) this.#takeHandshake(request, socket, head)
    else if (socket === request.socket && request.readableLength === 0) this.#handOver(request, socket, head)
    // From Node 26 on the body is parsed already, or still: such a request is answered as it is, and closed.
    else this.#answerParsed(request, head)
  }

  // Not one function for all apps of a server: who removes that of one is not to remove another's.
  readonly #noteResponse = (request: IncomingMessage, response: ServerResponse): void => noteResponse(request, response)

  #takeHandshake (request: IncomingMessage, socket: Socket, head: Buffer): void {
    request[kHandshakeRequest] = true
    const target = targetOf(request)
    if (target !== request) Object.assign(request, target)
    const response = this.#createResponse(request, socket, head)
    const hasTurn = takeTurn(response.raw, socket, head, true, (rest) => {
      response.handleTurn(rest)
      this.#route(request, response)
    })
    if (hasTurn) return
    const place = this.limits.takePlace()
    response.wait(place instanceof Error ? null : place)
  }

  #route (request: IncomingMessage, response: UpgradeResponse): void {
    this.#owner.handleTurn(response)
    if (!this.#owner.isReady) response.refuse()
    if (response.isPending) this.#fastify.routing(request, response.raw)
    response.watch()
    // A hook waits that comes before those of the plugin, or one keeps the end of the answer.
    const isHeldUp = response.isPending ? response.admission === null && this.matches(request) : response.isAccepted
    if (isHeldUp) this.#owner.limit(response, this.limits.handshakeTimeout)
  }

  #answerParsed (request: IncomingMessage, head: Buffer): void {
    const { socket } = request
    const response = this.#createResponse(request, socket, head)
    takeTurn(response.raw, socket, head, false, () => {
      this.#owner.handleTurn(response)
      this.#server.emit('request', request, response.raw)
    })
  }

  #createResponse (request: IncomingMessage, socket: Socket, head: Buffer): UpgradeResponse {
    this.#owner.handleUpgrade(request)
    return new UpgradeResponse(request, socket, head, this.#owner, this.limits.handshakeTimeout)
  }

  // A request for another protocol.
  #handOver (request: IncomingMessage, socket: Socket, head: Buffer): void {
    const turn = createResponse(request)
    takeTurn(turn, socket, head, true, (rest) => {
      if (!isHeadWhole(this.#server, request)) {
        refuseHead(turn, socket)
        return
      }
      takeSocket(turn, socket)
      // Node adds its own; one more for each request on the socket would be a leak.
      unguard(socket)
      replayAsHttp(this.#server, request, socket, rest)
    })
  }
}

export function isHandshake (request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket'
}

// A target that is a whole URL counts by its path, and names the host (RFC 9112 section 3.2.2).
function targetOf (request: IncomingMessage): Pick<IncomingMessage, 'url' | 'headers'> {
  const url = String(request.url)
  const match = url.startsWith('/') ? null : ORIGIN.exec(url)
  if (match === null) return request
  const path = url.slice(match[0].length)
  return { url: path.startsWith('/') ? path : `/${path}`, headers: { ...request.headers, host: match.groups?.host } }
}
