// fastify.injectWebSocket(): a real client of ws and the real parser of http, and between them memory in place of a network.
import type { Server as HttpServer } from 'node:http'
import { Server as TlsServer } from 'node:tls'
import { inspect } from 'node:util'
import type { FastifyInstance } from 'fastify'
import type { InjectedWebSocket } from '../../types/inject.ts'
import { FST_ERR_WS_INJECT, FST_ERR_WS_OPTION_INVALID } from '../errors.ts'
import { readInjectOptions } from '../options/options.ts'
import { Connections } from '../server/connections.ts'
import { clearTimeout, setTimeout } from '../timers.ts'
import { type ClientOptions, MemoryClient } from './memory-client.ts'
import { MemorySocket } from './memory-socket.ts'

/**
 * Connects to a WebSocket route.
 *
 * @throws FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_REFUSED, FST_ERR_WS_INJECT, FST_ERR_WS_INJECT_ANSWER
 */
export async function injectWebSocket (fastify: FastifyInstance, path: unknown, options: unknown): Promise<InjectedWebSocket> {
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('#')) {
    throw FST_ERR_WS_OPTION_INVALID('path', 'a string that begins with "/" and has no "#"', inspect(path))
  }
  const { headers, protocols, remoteAddress, timeout, signal } = readInjectOptions(options)
  const url = `ws://localhost${path}`
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(FST_ERR_WS_INJECT(url, `no answer within ${timeout} ms`)), timeout)
  const over = AbortSignal.any(signal === undefined ? [late.signal] : [late.signal, signal])
  try {
    // Where process.nextTick() is faked ready() never resolves, not even on an instance that is ready.
    if (!Connections.of(fastify).isReady) await orAborted(rootOf(fastify).ready(), over)
    over.throwIfAborted()
    const client = createClient(url, protocols, { headers, createConnection: () => openSocket(fastify.server as HttpServer, remoteAddress) })
    leaveWith(client, over)
    await orAborted(client.opened(), over)
    if (signal !== undefined) leaveWith(client, signal)
    return client as InjectedWebSocket
  } finally {
    clearTimeout(timer)
  }
}

function leaveWith (client: MemoryClient, signal: AbortSignal): void {
  const leave = (): void => client.terminate()
  signal.addEventListener('abort', leave, { once: true })
  client.once('close', () => signal.removeEventListener('abort', leave))
}

// Settles as the promise does, or rejects with the reason of the signal if that is aborted first.
async function orAborted<Value> (promise: PromiseLike<Value>, signal: AbortSignal): Promise<Value> {
  return await new Promise<Value>((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    void promise.then(resolve, reject).then(() => signal.removeEventListener('abort', abort))
  })
}

// A header that is undefined is left out: for http.request() it would be an error.
function createClient (url: string, protocols: string[], { headers, ...options }: ClientOptions): MemoryClient {
  const given = Object.entries(headers).filter(([, value]) => value !== undefined)
  try {
    return new MemoryClient(url, protocols, { ...options, headers: Object.fromEntries(given) })
  } catch (error) {
    throw FST_ERR_WS_INJECT(url, (error as Error).message, { cause: error })
  }
}

// The ready() of a child does not run the onReady hooks. A child inherits from its parent as objects do:
// https://fastify.dev/docs/latest/Reference/Encapsulation/
export function rootOf (instance: FastifyInstance): FastifyInstance {
  const parent = Object.getPrototypeOf(instance) as FastifyInstance | null
  return parent !== null && 'ready' in parent ? rootOf(parent) : instance
}

function openSocket (server: HttpServer, remoteAddress: string): MemorySocket {
  const isTls = server instanceof TlsServer
  const [serverEnd, clientEnd] = MemorySocket.pair(remoteAddress, isTls)
  // Documented for streams of any kind: https://nodejs.org/api/http.html#event-connection
  server.emit(isTls ? 'secureConnection' : 'connection', serverEnd)
  return clientEnd
}
