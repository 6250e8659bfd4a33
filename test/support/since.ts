import Fastify from 'fastify'

const { version } = Fastify()

/** Options of a test that an older Fastify fails by a fault of its own. */
export function since (lowest: string, fault: string): { skip?: string } {
  return isOlder(version, lowest) ? { skip: `before Fastify ${lowest} ${fault}` } : {}
}

function isOlder (given: string, wanted: string): boolean {
  const [a, b] = [given, wanted].map((text) => text.split('.').map(Number)) as [number[], number[]]
  const i = a.findIndex((part, i) => part !== b[i])
  return i !== -1 && Number(a[i]) < Number(b[i])
}
