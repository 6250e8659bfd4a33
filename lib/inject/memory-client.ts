// What fastify.injectWebSocket() resolves to: a client of ws that keeps its messages until a test asks for them.
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { inspect } from 'node:util'
import { type RawData, WebSocket } from 'ws'
import type { ClientClose, InjectedWebSocket } from '../../types/inject.ts'
import { FST_ERR_WS_INJECT, FST_ERR_WS_INJECT_ANSWER, FST_ERR_WS_NEXT, FST_ERR_WS_NEXT_JSON, FST_ERR_WS_REFUSED } from '../errors.ts'
import { readNextOptions } from '../options/options.ts'
import { clearTimeout, setTimeout } from '../timers.ts'
import { Inbox, type Message, type Taker } from './inbox.ts'
import type { MemorySocket } from './memory-socket.ts'

export interface ClientOptions {
  readonly headers: OutgoingHttpHeaders
  readonly createConnection: () => MemorySocket
}

// By readyState.
const STATES = ['connecting', 'open', 'closing', 'closed'] as const

export class MemoryClient extends WebSocket {
  response: InjectedWebSocket['response'] | null = null
  readonly closed: Promise<ClientClose>
  readonly #url: string
  readonly #offered: readonly string[]
  readonly #inbox = new Inbox()
  #close: ClientClose | null = null

  constructor (url: string, protocols: string[], options: ClientOptions) {
    super(url, protocols, options as object)
    this.#url = url
    this.#offered = protocols
    this.on('message', (data: RawData, isBinary: boolean) => this.#inbox.add(isBinary ? data as Buffer : data.toString()))
    this.closed = new Promise((resolve) => {
      this.once('close', (code: number, reason: Buffer) => {
        this.#close = { code, reason: reason.toString() }
        this.#inbox.close()
        resolve(this.#close)
      })
    })
    // What goes wrong on an open connection is seen by its close.
    this.on('error', () => {})
    this.once('upgrade', ({ statusCode = 101, headers }) => { this.response = { statusCode, headers } })
  }

  async opened (): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const fail = (cause: Error): void => reject(this.#failure(cause))
      this.once('open', resolve)
      this.once('error', fail)
      this.once('unexpected-response', (_request, response) => { this.#refusal(response).then(reject, fail) })
    })
  }

  async next (options: unknown = {}): Promise<Message> {
    const { timeout } = readNextOptions(options)
    return await new Promise<Message>((resolve, reject) => {
      const taker: Taker = (message) => {
        clearTimeout(timer)
        if (message === undefined) reject(this.#noMessage('the connection has closed'))
        else resolve(message)
      }
      // It keeps the process alive, so that a test that waits in vain is told why.
      const timer = setTimeout(() => {
        this.#inbox.leave(taker)
        reject(this.#noMessage(`none came within ${timeout} ms`))
      }, timeout)
      this.#inbox.take(taker)
    })
  }

  async nextJson (options?: unknown): Promise<unknown> {
    const message = await this.next(options)
    if (typeof message !== 'string') throw FST_ERR_WS_NEXT_JSON(`a binary message: ${quote(message)}`)
    try {
      return JSON.parse(message)
    } catch (error) {
      throw FST_ERR_WS_NEXT_JSON(quote(message), { cause: error })
    }
  }

  async * messages (): AsyncIterableIterator<Message, undefined> {
    while (true) {
      const message = await new Promise<Message | undefined>((resolve) => this.#inbox.take(resolve))
      if (message === undefined) return
      yield message
    }
  }

  #noMessage (why: string): Error {
    const { count, latest } = this.#inbox
    const close = this.#close
    const state = close === null ? `the connection is ${STATES[this.readyState]}` : `the code is ${close.code}, the reason ${quote(close.reason)}`
    const before = count === 0 ? 'no message had come before' : `before came ${count}, the last of them ${latest.map(quote).join(', ')}`
    return Object.assign(FST_ERR_WS_NEXT(why, state, before), { received: latest, close })
  }

  #failure (cause: Error): Error {
    if (this.response === null) return FST_ERR_WS_INJECT(this.#url, cause.message, { cause })
    // RFC 6455 section 4.1: ws goes on without a subprotocol only if it has offered none.
    const hasNone = this.#offered.length > 0 && this.response.headers['sec-websocket-protocol'] === undefined
    const why = hasNone
      ? `it had offered the subprotocols ${this.#offered.join(', ')}, and none was chosen, by "protocols" of the route or conn.acceptWith({ protocol })`
      : cause.message
    return FST_ERR_WS_INJECT_ANSWER(this.#url, why, { cause })
  }

  async #refusal (response: IncomingMessage): Promise<Error> {
    const body = Buffer.concat(await response.toArray() as Buffer[]).toString()
    const { statusCode, headers } = response
    const error = FST_ERR_WS_REFUSED(this.#url, statusCode, body.slice(0, 500))
    this.terminate()
    return Object.assign(error, { statusCode, headers, body })
  }
}

function quote (message: Message): string {
  return inspect(message, { maxStringLength: 100, breakLength: Infinity })
}
