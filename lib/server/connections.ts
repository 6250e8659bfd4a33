// All upgrades and all connections of one Fastify app, whichever http server they came through.
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { ConnectionRoute } from '../connection/connection-route.ts'
import type { Connection } from '../connection/connection.ts'
import { Heartbeat } from '../connection/heartbeat.ts'
import type { Session } from '../connection/session.ts'
import { HeaderPool } from '../handshake/shared-headers.ts'
import { kHandshakeRequest } from '../symbols.ts'
import { now } from '../timers.ts'
import { PubSub } from '../topics/pub-sub.ts'
import { RouteMatcher } from '../upgrade/route-match.ts'
import type { UpgradeOwner } from '../upgrade/upgrade-owner.ts'
import type { UpgradeResponse } from '../upgrade/upgrade-response.ts'
import { Registry } from './registry.ts'
import { Stats } from './stats.ts'

interface CountedRoute extends ConnectionRoute {
  readonly stats: Stats
}

const connectionsOf = new WeakMap<FastifyInstance['routing'], Connections>()

export class Connections implements UpgradeOwner {
  /** Upgrades that have their socket, and no answer yet or one that is still on its way. */
  readonly pending = new Registry<UpgradeResponse>()
  /** Connections, until their socket is gone. */
  readonly open = new Registry<Connection>()
  /** Connections whose socket is gone, and whose `onClose` has not settled. */
  readonly ending = new Registry<Connection>()
  /** The routes by their paths as they were declared; constraints may tell several on one path apart. */
  readonly routes = new Map<string, Set<CountedRoute>>()
  readonly matcher = new RouteMatcher()
  readonly pubSub = new PubSub()
  /** Of handshakes that have not met one of the routes, or never will: each of those counts for itself. */
  readonly stats = new Stats()
  readonly headers = new HeaderPool()
  readonly #heartbeat = new Heartbeat()
  // The time-outs of handshakes that wait for something.
  readonly #timeouts = new Heartbeat()
  #isReady = false
  #isClosing = false

  get isReady (): boolean {
    return this.#isReady
  }

  get isClosing (): boolean {
    return this.#isClosing
  }

  /** The one of an app: all of its instances that register the plugin share it, as they share the router. */
  static of ({ routing }: FastifyInstance): Connections {
    let connections = connectionsOf.get(routing)
    if (connections === undefined) connectionsOf.set(routing, connections = new Connections())
    return connections
  }

  addRoute (url: string, route: CountedRoute): void {
    const routes = this.routes.get(url)
    if (routes === undefined) this.routes.set(url, new Set([route]))
    else routes.add(route)
  }

  /** What is counted of each route, by its path; one may have a second path, with a slash at its end. */
  statsByPath (): Map<string, Stats> {
    const byPath = new Map<string, Stats>()
    for (const [path, routes] of this.routes) {
      const own = [...routes].filter(({ url }) => url === path)
      if (own.length > 0) byPath.set(path, own.reduce((sum, { stats }) => sum.add(stats), new Stats()))
    }
    return byPath
  }

  handleUpgrade (request: IncomingMessage): void {
    if (isHandshake(request)) this.stats.countHandshake()
  }

  /** The responses before it on its socket are complete. */
  handleTurn (response: UpgradeResponse): void {
    this.pending.set(response.number, response)
  }

  /** Ends a handshake that has not been answered after so many milliseconds. It waits for something from now on. */
  limit (response: UpgradeResponse, timeout: number | false): void {
    this.#release(response)
    response.timeout = timeout
    const time = Math.floor(now())
    if (response.waitsSince === 0) response.waitsSince = time
    if (timeout === false) return
    // The time that it has waited for something else counts too.
    response.timeLeft = Math.max(1, timeout - (time - response.waitsSince))
    this.#timeouts.add(response, response.timeLeft)
  }

  handleEnd (response: UpgradeResponse): void {
    this.pending.delete(response.number)
    this.#release(response)
  }

  handleAnswer (response: UpgradeResponse, statusCode: number): void {
    if (!isHandshake(response.raw.req)) return
    if (response.admission === null) this.stats.countAnswer(statusCode)
    else response.admission.handleAnswer(statusCode)
  }

  add (session: Session, heartbeat: number | false): void {
    this.open.set(session.connection.id, session.connection)
    if (heartbeat !== false) this.#heartbeat.add(session, heartbeat)
  }

  /** The socket of a connection is gone. */
  remove (session: Session, heartbeat: number | false): void {
    this.open.delete(session.connection.id)
    this.pubSub.drop(session)
    if (heartbeat !== false) this.#heartbeat.delete(session, heartbeat)
  }

  /** The routes are complete: from now on handshakes get to them. */
  begin (): void {
    this.#isReady = true
  }

  /** From now on every handshake is refused. Those that wait for their answer get it now. */
  refuseAll (): void {
    this.#isClosing = true
    for (const response of this.pending) response.refuse()
  }

  #release (response: UpgradeResponse): void {
    if (response.timeLeft !== false) this.#timeouts.delete(response, response.timeLeft)
    response.timeLeft = false
  }
}

function isHandshake (request: IncomingMessage): boolean {
  return request[kHandshakeRequest] === true
}
