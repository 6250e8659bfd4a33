// Who takes part. bench/contenders has a file for each server.
export interface Contender {
  readonly name: ContenderName
  /** The file. */
  readonly server: string
  /** Whether ws may use the native `bufferutil`: where npm installs it along, or the name says so. */
  readonly hasBufferutil: boolean
  /** Whether it speaks the protocol of socket.io inside the WebSocket. */
  readonly isEngineIo: boolean
}

export type ContenderName = typeof NAMES[number]

const NAMES = [
  'ws', 'ws+bufferutil', 'node:http', '@fastify/websocket', 'crossws', 'socket.io', 'ours', 'ours-bufferutil'
] as const

const SERVERS: Record<ContenderName, string> = {
  ws: 'ws',
  'ws+bufferutil': 'ws',
  'node:http': 'node-http',
  '@fastify/websocket': 'fastify-websocket',
  crossws: 'crossws',
  'socket.io': 'socket-io',
  ours: 'ours',
  'ours-bufferutil': 'ours'
}

export const CONTENDERS = Object.fromEntries(NAMES.map((name) => [name, {
  name,
  server: SERVERS[name],
  hasBufferutil: name === 'ours' || name === 'ws+bufferutil',
  isEngineIo: name === 'socket.io'
}])) as unknown as Readonly<Record<ContenderName, Contender>>

export function isContenderName (name: string): name is ContenderName {
  return (NAMES as readonly string[]).includes(name)
}
