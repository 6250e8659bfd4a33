// Whether a request is for a route of ours, before anybody has taken it: asked of Fastify's own router, so its rules count.
// Each WebSocket route has a shadow, which no request reaches, as it has a constraint that none fulfils.
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, RouteOptions } from 'fastify'

type RouteConstraint = Parameters<FastifyInstance['findRoute']>[0]['constraints'] & object
type Strategy = Parameters<FastifyInstance['addConstraintStrategy']>[0]

const NAME = 'websocketRoute'

export function addShadowConstraint (fastify: FastifyInstance): void {
  if (fastify.hasConstraintStrategy(NAME)) return
  fastify.addConstraintStrategy({
    name: NAME,
    // With it, findRoute() finds shadows only.
    mustMatchWhenDerived: true,
    storage: () => new Map() as unknown as ReturnType<Strategy['storage']>,
    deriveConstraint: () => undefined as unknown as string
  })
}

type RoutePart = Pick<RouteOptions, 'url' | 'constraints' | 'prefixTrailingSlash' | 'handler'>

/** Adds the shadow of a route. Constraints of the application's own cannot be asked here, so it goes without them. */
export function addShadowRoute (instance: FastifyInstance, known: Set<string>, { url, constraints, prefixTrailingSlash, handler }: RoutePart): void {
  const { host, version } = constraints ?? {}
  const key = [instance.prefix, url, host, version].join(' ')
  if (known.has(key)) return
  known.add(key)
  instance.route({
    method: 'GET',
    url,
    exposeHeadRoute: false,
    schema: { hide: true } as object,
    constraints: { ...host === undefined ? {} : { host }, ...version === undefined ? {} : { version }, [NAME]: true },
    ...prefixTrailingSlash === undefined ? {} : { prefixTrailingSlash },
    handler
  })
}

export function matchesRoute (fastify: FastifyInstance, { url: given, headers }: IncomingMessage): boolean {
  const url = String(given)
  if (!isDecodable(url)) return false
  // The types do not know that a request may lack them.
  const constraints = { host: headers.host, version: headers['accept-version'], [NAME]: true } as RouteConstraint
  return fastify.findRoute({ method: 'GET', url, constraints }) !== null
}

// The router would answer such a path itself, so it would be found.
function isDecodable (url: string): boolean {
  try {
    decodeURI(url.replace(/\?.*/s, ''))
    return true
  } catch {
    return false
  }
}
