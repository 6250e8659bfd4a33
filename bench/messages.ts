// What a message costs, against bare ws: CPU time of the server per message, both in one run, by turns.
//
//   npm run bench:messages [-- --quick] [--only=JSON]
//
// The CPU time is what counts: a server on one core is at its limit when that is used up. The load comes from another
// process on another core, and is no part of it.
import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Load } from './load.ts'

interface Scenario {
  readonly name: string
  /** The path of each server. */
  readonly ws: string
  readonly ours: string
  readonly message: Buffer
  readonly isBinary: boolean
  readonly answerSize: number
}

const JSON_MESSAGE = Buffer.from(JSON.stringify({ id: 12345, text: 'The quick brown fox jumps over the lazy dog.', tags: ['a', 'b', 'c'] }))
const JSON_ANSWER = JSON.stringify({ id: 12345, text: 'The quick brown fox jumps over the lazy dog.', count: 3 })

const SIZES = [[32, '32 B'], [1024, '1 KiB'], [65_536, '64 KiB']] as const

const SCENARIOS: Scenario[] = [
  ...SIZES.flatMap(([size, label]): Scenario[] => {
    const message = { message: Buffer.alloc(size, 'x'), answerSize: size }
    return [
      { name: `echo ${label}, conn.on('message')`, ws: '/', ours: '/listener', isBinary: true, ...message },
      { name: `echo ${label}, onMessage`, ws: '/', ours: '/on-message', isBinary: true, ...message },
      { name: `echo ${label}, async onMessage`, ws: '/', ours: '/async', isBinary: true, ...message },
      { name: `echo ${label}, for await`, ws: '/', ours: '/iteration', isBinary: true, ...message }
    ]
  }),
  { name: 'JSON in, validated, JSON out', ws: '/json', ours: '/json', message: JSON_MESSAGE, isBinary: false, answerSize: JSON_ANSWER.length }
]

const isQuick = process.argv.includes('--quick')
const filter = process.argv.find((argument) => argument.startsWith('--only='))?.slice(7) ?? ''
const ROUNDS = isQuick ? 5 : 40
const SLICE = 200
const CONNECTIONS = 64

class Server {
  readonly #process: ChildProcess
  readonly port: number

  private constructor (process: ChildProcess, port: number) {
    this.#process = process
    this.port = port
  }

  static async start (name: 'ws' | 'ours'): Promise<Server> {
    const child = fork(fileURLToPath(new URL('message-server.js', import.meta.url)), [name])
    // With two cores or more the servers have one and the load the other.
    if (availableParallelism() > 1 && child.pid !== undefined) spawnSync('taskset', ['-cp', '1', String(child.pid)])
    const [port] = await once(child, 'message') as [number]
    return new Server(child, port)
  }

  /** CPU time so far, in microseconds. */
  async cpuTime (): Promise<number> {
    this.#process.send('cpu')
    const [{ user, system }] = await once(this.#process, 'message') as [NodeJS.CpuUsage]
    return user + system
  }

  stop (): void {
    this.#process.disconnect()
  }
}

/** Microseconds of the server's CPU per message. */
async function measure (server: Server, load: Load): Promise<number> {
  const before = await server.cpuTime()
  const count = await load.run(SLICE)
  return (await server.cpuTime() - before) / count
}

async function compare (servers: { ws: Server, ours: Server }, scenario: Scenario, inFlight: number): Promise<string> {
  const options = { ...scenario, connections: CONNECTIONS, inFlight }
  const loads = {
    ws: new Load({ ...options, port: servers.ws.port, path: scenario.ws }),
    ours: new Load({ ...options, port: servers.ours.port, path: scenario.ours })
  }
  await Promise.all([loads.ws.open(), loads.ours.open()])
  const costs: Array<{ ws: number, ours: number }> = []
  for (let round = -2; round < ROUNDS; round++) {
    const isOursFirst = round % 2 === 0
    const first = isOursFirst ? await measure(servers.ours, loads.ours) : 0
    const ws = await measure(servers.ws, loads.ws)
    const ours = isOursFirst ? first : await measure(servers.ours, loads.ours)
    if (round >= 0) costs.push({ ws, ours }) // those before warm up
  }
  loads.ws.close()
  loads.ours.close()
  const ratio = median(costs.map(({ ws, ours }) => ws / ours))
  const [ws, ours] = [median(costs.map(({ ws }) => ws)), median(costs.map(({ ours }) => ours))]
  return `| ${scenario.name} | ${inFlight} | ${ws.toFixed(1)} | ${ours.toFixed(1)} | ${ratio.toFixed(2)} |`
}

function median (values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] as number : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

if (availableParallelism() > 1) spawnSync('taskset', ['-cp', '0', String(process.pid)])
const servers = { ws: await Server.start('ws'), ours: await Server.start('ours') }
console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, ${CONNECTIONS} connections, ${ROUNDS} rounds of ${SLICE} ms\n`)
console.log('| scenario | in flight | ws, µs | ours, µs | ws / ours |\n|---|---|---|---|---|')
for (const scenario of SCENARIOS.filter(({ name }) => name.includes(filter))) {
  for (const inFlight of [1, 16]) console.log(await compare(servers, scenario, inFlight))
}
servers.ws.stop()
servers.ours.stop()
