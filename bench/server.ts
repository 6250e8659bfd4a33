// One contender in a process of its own, which answers what its parent asks.
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { allocations, countAllocations } from './allocating.ts'
import { settle } from './settling.ts'
import { subscriptionCosts } from './subscribing.ts'
import type { Member } from './workload.ts'

interface ContenderModule {
  start (): Server | Promise<Server>
  /** All connections on `/subscribe`. */
  members? (): readonly Member[]
}

const { start, members } = await import(`./contenders/${process.argv[2]}.js`) as ContenderModule
const server = await start()

const ANSWERS = {
  cpu: () => process.cpuUsage(),
  memoryNow: () => process.memoryUsage(),
  memory: async () => {
    await settle()
    return process.memoryUsage()
  },
  count: () => countAllocations(),
  allocations: () => allocations(),
  subscriptions: () => subscriptionCosts(members?.() ?? [])
}

export type Question = keyof typeof ANSWERS

process.on('message', (question: Question) => { void answer(question) })
process.on('disconnect', () => process.exit())
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))

async function answer (question: Question): Promise<void> {
  process.send?.(await ANSWERS[question]() ?? null)
}
