// Keeps process.nextTick() quick. Each call of it makes an object of one shape (V8: a map), and V8 forgets a shape of which
// no object is alive when it collects the old space, as it does while a Fastify application starts. The code of nextTick()
// has learnt the old one by then; with the new one it is four times as slow, for good, in Node.js 20 to 24 at least. A
// message takes two ticks, a connection fifteen (bench/messages.ts, echo of 32 B with 1 in flight; bench/handshakes.ts).
// One object that stays is enough. It is the resource of its own tick, so no hook has to be set to get at it.
import { executionAsyncResource } from 'node:async_hooks'

export let keptTick: object | null = null

process.nextTick(() => { keptTick = executionAsyncResource() })
