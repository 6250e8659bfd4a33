// One contender in a process of its own, which answers what its parent asks.
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Question = 'cpu' | 'memory'

const { start } = await import(`./contenders/${process.argv[2]}.js`) as { start: () => Server | Promise<Server> }
const server = await start()

process.on('message', (question: Question) => {
  if (question === 'cpu') process.send?.(process.cpuUsage())
  else void settledMemory().then((memory) => process.send?.(memory))
})
process.on('disconnect', () => process.exit())
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))

// What is freed in the callbacks of what is collected is only gone the next time.
async function settledMemory (): Promise<NodeJS.MemoryUsage> {
  for (let times = 0; times < 4; times++) {
    globalThis.gc?.()
    await new Promise((resolve) => { setTimeout(resolve, 50) })
  }
  return process.memoryUsage()
}
