// Fastify closes in this order (fastify.js, `hookRunnerApplication('preClose', …`): it runs all preClose hooks one after the other,
// calls server.close(), and runs the onClose hooks when the last socket is gone. No hook of ours can be the last one, as those of
// children come after those of their parents. So close() of the server is replaced, from our first hook until it is called.
// Where it cannot be, or is not called, ours is a hook among the others.
import type { Server } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { replaceMethod } from './replaced-method.ts'

type CloseCallback = (error?: Error) => void

export interface Closing {
  /** The server begins to close. */
  begin (): void
  /** All preClose hooks have run. The server is closed when the promise is fulfilled. */
  finish (): Promise<void>
}

/** Says when the server of an instance closes. Each is called once. */
export function whenClosing (fastify: FastifyInstance, closing: Closing): void {
  let finished: Promise<void> | null = null
  const finish = (): Promise<void> => (finished ??= closing.finish())
  let restore: (() => boolean) | null | undefined
  const begin = async (): Promise<void> => {
    if (restore !== undefined) return
    closing.begin()
    restore = replaceClose(fastify.server, finish)
    if (restore === null) fastify.log.warn('server.close() cannot be replaced: WebSockets are closed before all preClose hooks have run')
  }

  fastify.addHook('preClose', async () => {
    await begin()
    if (restore === null) await finish()
  })
  // The onClose hook that was added last is the first thing that happens at all. It also runs when a preClose hook has failed, and
  // those after it are left out. By the documentation none can be added so late, so it may be refused.
  fastify.addHook('onReady', async () => {
    try {
      fastify.addHook('onClose', begin)
    } catch {}
  })
  // Fastify does not close a server of the application's own that has never listened.
  fastify.addHook('onClose', async () => {
    restore?.()
    await finish()
  })
}

function replaceClose (server: Server, before: () => Promise<void>): (() => boolean) | null {
  const { close } = server
  const restore = replaceMethod(server, 'close', (callback?: CloseCallback): Server => {
    restore?.()
    const goOn = (): void => { close.call(server, callback) }
    void before().then(goOn, goOn)
    return server
  })
  return restore
}
