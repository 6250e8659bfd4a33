// Others that listen for upgrades take every one that they see (@fastify/websocket, @fastify/http-proxy), or cut it off when it
// takes long (socket.io), and no event can be stopped on its way through its listeners. So an upgrade that is ours does not become
// one: Node tells of it by calling `server.emit(eventName, req, socket, bodyHead)` (lib/_http_server.js, onParserExecuteCommon()), and
// Fastify's second server for localhost by `mainServer.emit` (lib/server.js, multipleBindings()), and that is replaced.
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { replaceMethod } from './replaced-method.ts'

type UpgradeArguments = [request: IncomingMessage, socket: Socket, head: Buffer]

interface Interceptor {
  /** Takes an upgrade before anybody sees it; `false` leaves it to the listeners. */
  claim (...args: UpgradeArguments): boolean
  /** Nobody listened. */
  handleUnheard (...args: UpgradeArguments): void
}

/** Where that is not so, nothing is claimed: the listener for 'upgrade' is then one of several that see it. */
export class EmitInterception {
  readonly #server: Server
  readonly #interceptor: Interceptor
  #emit: Server['emit']
  #restore: (() => boolean) | null = null
  #isOn = false

  constructor (server: Server, interceptor: Interceptor) {
    this.#server = server
    this.#interceptor = interceptor
    this.#emit = server.emit
  }

  start (): void {
    this.#isOn = true
    if (this.#restore !== null) return
    this.#emit = this.#server.emit
    this.#restore = replaceMethod(this.#server, 'emit', this.#replacement)
  }

  stop (): void {
    this.#isOn = false
    // As long as somebody else has wrapped it, it stays and passes everything on, as it does for a second server.
    if (this.#restore?.() === true) this.#restore = null
  }

  readonly #replacement = (event: string, ...args: unknown[]): boolean => {
    const isUpgrade = event === 'upgrade'
    if (isUpgrade && this.#isOn && this.#interceptor.claim(...args as UpgradeArguments)) return true
    const isHeard = Reflect.apply(this.#emit, this.#server, [event, ...args])
    if (isUpgrade && !isHeard) this.#interceptor.handleUnheard(...args as UpgradeArguments)
    return isHeard
  }
}
