import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyListenOptions, type FastifyServerOptions } from 'fastify'
import websocket, { type WebSocketPluginOptions } from '../../index.ts'

/** The part of tap's `t` that the starters need. */
export interface Teardown {
  teardown (callback: () => unknown): void
}

export interface LogLine {
  level: number
  msg: string
  reqId?: string
  res?: { statusCode: number }
  responseTime?: number
  err?: { message: string, code?: string }
  [key: string]: unknown
}

export interface TestApp {
  app: FastifyInstance
  port: number
  /** What the app has logged so far. */
  logs: LogLine[]
}

interface Setup {
  server?: FastifyServerOptions
  plugin?: WebSocketPluginOptions
  listen?: FastifyListenOptions
  /** Registers the plugin itself. */
  withoutPlugin?: boolean
}

/** Starts a real server on a port of its own; it is closed after the test, and must close. */
export async function startApp (t: Teardown, build: (app: FastifyInstance) => unknown, setup: Setup = {}): Promise<TestApp> {
  const logs: LogLine[] = []
  const stream = { write: (line: string) => { logs.push(JSON.parse(line) as LogLine) } }
  const app = Fastify({ logger: { level: 'trace', stream }, ...setup.server })
  t.teardown(() => app.close())
  if (setup.withoutPlugin !== true) await app.register(websocket, setup.plugin ?? {})
  await build(app)
  await app.listen(setup.listen ?? { port: 0, host: '127.0.0.1' })
  return { app, port: (app.server.address() as AddressInfo).port, logs }
}
