import { execFileSync } from 'node:child_process'
import t from 'tap'

// A process of its own, without tap and its coverage: the plugin comes first, as in an application, and the test needs V8's own
// functions. It prints whether the shape is the same.
const PROGRAM = `
  import { executionAsyncResource } from 'node:async_hooks'
  import { setTimeout as sleep } from 'node:timers/promises'
  import { keptTick } from ${JSON.stringify(new URL('../../lib/seams/tick-shape.ts', import.meta.url).href)}
  await sleep(1)
  gc()
  await sleep(1)
  gc()
  const fresh = await new Promise((resolve) => process.nextTick(() => resolve(executionAsyncResource())))
  console.log(keptTick !== fresh && %HaveSameMap(keptTick, fresh))
`

t.test('the objects of process.nextTick() keep their shape', async (t) => {
  const loader = new URL('../support/load-typescript.js', import.meta.url).href
  const args = ['--import', loader, '--expose-gc', '--allow-natives-syntax', '--input-type=module', '--eval', PROGRAM]
  const output = execFileSync(process.execPath, args, { env: {} })
  t.equal(String(output), 'true\n')
})
