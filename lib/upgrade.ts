// From the server's `upgrade` event into Fastify's router: a handshake becomes an ordinary request.
import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Connection } from './connection.ts'
import { Heartbeat } from './heartbeat.ts'
import { PipelinedResponses } from './pipelined-responses.ts'
import { Registry } from './registry.ts'
import { replayAsHttp } from './replay.ts'
import { kHandshakeRequest } from './symbols.ts'
import { UpgradeResponse } from './upgrade-response.ts'

type Router = (request: IncomingMessage, response: ServerResponse) => void

// One `upgrade` listener a server, however many instances on it have registered the plugin.
const attached = new WeakMap<Server, UpgradeListener>()

export function attachUpgradeListener (fastify: FastifyInstance): UpgradeListener {
  const { server } = fastify
  let listener = attached.get(server)
  if (listener === undefined) {
    listener = new UpgradeListener(server, (request, response) => fastify.routing(request, response))
    attached.set(server, listener)
  }
  return listener
}

export class UpgradeListener {
  /** Upgrades that have no answer yet, or one that is still being sent. */
  readonly pending = new Registry<UpgradeResponse>()
  readonly connections = new Registry<Connection>()
  readonly #server: Server
  readonly #route: Router
  readonly #earlier: PipelinedResponses
  readonly #heartbeat = new Heartbeat()
  #isClosing = false

  constructor (server: Server, route: Router) {
    this.#server = server
    this.#route = route
    this.#earlier = new PipelinedResponses(server)
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => this.#handleUpgrade(request, socket, head))
  }

  track (connection: Connection, heartbeat: number | false): void {
    this.connections.add(connection)
    if (heartbeat !== false) this.#heartbeat.add(connection, heartbeat)
  }

  forget (connection: Connection, heartbeat: number | false): void {
    this.connections.delete(connection)
    if (heartbeat !== false) this.#heartbeat.delete(connection, heartbeat)
  }

  /** From now on every handshake is refused. Those that wait for their answer get it now. */
  refuseAll (): void {
    this.#isClosing = true
    for (const response of this.pending) response.refuse()
  }

  #handleUpgrade (request: IncomingMessage, socket: Socket, head: Buffer): void {
    // Somebody else may speak the other protocol.
    if (!isHandshake(request) && this.#server.listenerCount('upgrade') > 1) return
    socket.on('error', socketOnError)
    if (isHandshake(request)) this.#handleHandshake(request, socket, head)
    else if (socket === request.socket && request.readableLength === 0) this.#handOver(request, socket, head)
    // From Node 26 on the body is parsed already, or still: such a request is answered as it is, and closed.
    else this.#answer(request, new UpgradeResponse(request, request.socket, head), request.socket, () => {})
  }

  #handleHandshake (request: IncomingMessage, socket: Socket, head: Buffer): void {
    request[kHandshakeRequest] = true
    const response = new UpgradeResponse(request, socket, head)
    this.#answer(request, response, socket, () => response.watch())
  }

  #answer (request: IncomingMessage, response: UpgradeResponse, socket: Socket, callback: () => void): void {
    this.pending.add(response)
    response.once('close', () => this.pending.delete(response))
    this.#earlier.whenAnswered(socket, response, () => {
      if (this.#isClosing) response.refuse()
      else this.#route(request, response)
      callback()
    })
  }

  // A request for another protocol.
  #handOver (request: IncomingMessage, socket: Socket, head: Buffer): void {
    const turn = new ServerResponse(request)
    this.#earlier.whenAnswered(socket, turn, () => {
      turn.detachSocket(socket)
      replayAsHttp(this.#server, request, socket, head)
    })
  }
}

function isHandshake (request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket'
}

// Whatever reads or writes the socket later has listeners of its own; this one makes sure that there always is one.
function socketOnError (this: Socket): void {
  this.destroy()
}
