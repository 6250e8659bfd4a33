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
type Location = Pick<RouteOptions, 'url' | 'prefixTrailingSlash'>

// The strategies of the router that a request can be asked for.
const ASKED = ['host', 'version'] as const

/**
 * Adds the shadow of a route. Constraints of the application's own cannot be asked here, so it goes without them; those
 * that it has put in the place of the router's are noted in `replaced`.
 */
export function addShadowRoute (instance: FastifyInstance, replaced: Set<string>, { url, constraints, prefixTrailingSlash, handler }: RoutePart): void {
  for (const name of ASKED) if (isReplaced(instance, name)) replaced.add(name)
  const asked = ASKED.filter((name) => constraints?.[name] !== undefined && !replaced.has(name))
  for (const location of locationsOf(instance, url, prefixTrailingSlash)) {
    addOnce(instance, {
      ...location,
      method: 'GET',
      exposeHeadRoute: false,
      schema: { hide: true } as object,
      constraints: { ...Object.fromEntries(asked.map((name) => [name, constraints?.[name]])), [NAME]: true },
      handler
    })
  }
}

// Fastify adds some routes at two paths, and not the second one when something is at the first: so each has a shadow.
function locationsOf ({ prefix }: FastifyInstance, url: string, prefixTrailingSlash: RouteOptions['prefixTrailingSlash'] = 'both'): Location[] {
  const [, before, parameter, slash] = /^(.*)(\/:[^/()]*)\?(\/?)$/.exec(url) ?? []
  if (parameter !== undefined) {
    return [{ url: `${before}${parameter}${slash}`, prefixTrailingSlash }, { url: `${before}${slash}` || '/', prefixTrailingSlash: 'no-slash' }]
  }
  if (url !== '/' || prefix === '' || prefixTrailingSlash !== 'both') return [{ url, prefixTrailingSlash }]
  return [{ url, prefixTrailingSlash: 'no-slash' }, { url, prefixTrailingSlash: 'slash' }]
}

// Two routes that only a constraint of the application tells apart have one shadow; whether two paths are one, the router knows.
function addOnce (instance: FastifyInstance, route: RouteOptions): void {
  try {
    instance.route(route)
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'FST_ERR_DUPLICATED_ROUTE') throw error
  }
}

// The router takes no second strategy by a name, and says which of the two reasons it has.
function isReplaced (instance: FastifyInstance, name: string): boolean {
  if (!instance.hasConstraintStrategy(name)) return false
  let reason = ''
  try {
    instance.addConstraintStrategy({ name, storage: Map as unknown as Strategy['storage'], deriveConstraint: String })
  } catch (error) {
    reason = String(error)
  }
  return reason.includes('custom')
}

export function matchesRoute (fastify: FastifyInstance, replaced: ReadonlySet<string>, { url: given, headers }: IncomingMessage): boolean {
  const url = String(given)
  if (!isDecodable(url)) return false
  // A version that no route asks for tells nothing apart.
  const isAsked = (name: string): boolean => fastify.hasConstraintStrategy(name) && !replaced.has(name)
  // The types do not know that a request may lack them.
  const constraints = {
    host: isAsked('host') ? headers.host : undefined,
    version: isAsked('version') ? headers['accept-version'] : undefined,
    [NAME]: true
  } as RouteConstraint
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
