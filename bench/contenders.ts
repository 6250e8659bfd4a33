// Who takes part. bench/contenders has a file for each server.
export interface Contender {
  readonly name: ContenderName
  /** The file. */
  readonly server: string
  /** Whether ws may use the native `bufferutil`: ours does unless the name says otherwise, the others if it says so. */
  readonly hasBufferutil: boolean
  /** Whether it compresses messages where a client offers that. */
  readonly isDeflating: boolean
  /** Of Node.js, beside those that all have. */
  readonly flags: readonly string[]
  /** Whether it speaks the protocol of socket.io inside the WebSocket. */
  readonly isEngineIo: boolean
}

/** V8 collects the old space when it has grown by this many MiB, for the first time. */
export const OLD_SPACE = '--initial-old-space-size=256'

export type ContenderName = typeof NAMES[number]

const NAMES = [
  'ws', 'ws+bufferutil', 'node:http', '@fastify/websocket', 'crossws', 'socket.io', 'ours', 'ours-bufferutil', 'ours+old-space',
  'ws+deflate', 'socket.io+deflate', 'ours+deflate'
] as const

const SERVERS: Record<ContenderName, string> = {
  ws: 'ws',
  'ws+bufferutil': 'ws',
  'node:http': 'node-http',
  '@fastify/websocket': 'fastify-websocket',
  crossws: 'crossws',
  'socket.io': 'socket-io',
  ours: 'ours',
  'ours-bufferutil': 'ours',
  'ours+old-space': 'ours',
  'ws+deflate': 'ws',
  'socket.io+deflate': 'socket-io',
  'ours+deflate': 'ours'
}

export const CONTENDERS = Object.fromEntries(NAMES.map((name) => [name, {
  name,
  server: SERVERS[name],
  hasBufferutil: ['ours', 'ours+old-space', 'ours+deflate', 'ws+bufferutil'].includes(name),
  isDeflating: name.endsWith('+deflate'),
  flags: name === 'ours+old-space' ? [OLD_SPACE] : [],
  isEngineIo: name.startsWith('socket.io')
}])) as unknown as Readonly<Record<ContenderName, Contender>>

export function isContenderName (name: string): name is ContenderName {
  return (NAMES as readonly string[]).includes(name)
}
