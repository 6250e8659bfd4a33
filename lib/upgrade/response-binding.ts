// What a response has of ours. Middleware gives it another prototype (express), or wraps its methods: so these are properties, and go
// by what they are called on.
import type { ServerResponse } from 'node:http'
import { ofResponse } from '../seams/node-response.ts'
import type { HeadersArgument } from './response-headers.ts'
import type { UpgradeResponse } from './upgrade-response.ts'

const kUpgrade = Symbol('fastify-websocket-route.upgrade')

const NOOP = (): void => {}

/** Of a response to an upgrade request; `undefined` for any other. */
export function upgradeOf (response: object): UpgradeResponse | undefined {
  return (response as { [kUpgrade]?: UpgradeResponse })[kUpgrade]
}

export function bindResponse (response: ServerResponse & { [kUpgrade]?: UpgradeResponse }, upgrade: UpgradeResponse): void {
  response[kUpgrade] = upgrade
  response.writeHead = writeHead
  response.write = write
  response.end = end
  response.on('finish', responseOnFinish)
  // Whatever has destroyed it.
  response.on('close', responseOnClose)
  // Who goes on to write after the end would end the process.
  response.on('error', NOOP)
}

function writeHead (this: ServerResponse, statusCode: number, reason?: string | HeadersArgument, headers?: HeadersArgument): ServerResponse {
  upgradeOf(this)?.writeHead(statusCode, reason, headers)
  return this
}

function write (this: ServerResponse, ...args: unknown[]): boolean {
  const upgrade = upgradeOf(this)
  return upgrade?.isOverruled === false && ofResponse.write.apply(upgrade.raw, args) === true
}

function end (this: ServerResponse, ...args: unknown[]): ServerResponse {
  upgradeOf(this)?.end(args)
  return this
}

function responseOnFinish (this: ServerResponse): void {
  upgradeOf(this)?.handleFinish()
}

function responseOnClose (this: ServerResponse): void {
  upgradeOf(this)?.handleClose()
}
