// Whether a request is for a route of ours, before anybody has taken it: asked of a router of our own, of the kind and with the
// settings of Fastify's. It is made when an upgrade comes for the first time while somebody else listens for them too.
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import FindMyWay from 'find-my-way'

type Settings = Record<string, unknown>
type Constraints = Readonly<Record<string, unknown>>
type Router = ReturnType<typeof FindMyWay>

// The strategies of the router itself. Those of the application cannot be asked here.
const STRATEGIES = ['host', 'version'] as const

const DEFAULTS: Settings = {
  allowUnsafeRegex: false,
  caseSensitive: true,
  ignoreDuplicateSlashes: false,
  ignoreTrailingSlash: false,
  maxParamLength: 100,
  useSemicolonDelimiter: false
}

// The router only finds; it calls nothing.
const NOOP = Function.prototype as () => void

/** The paths of all WebSocket routes of a server. */
export class RouteMatcher {
  readonly #routes: Array<[url: string, constraints: Constraints]> = []
  readonly #standard = new Set<string>()
  #router: Router | null = null

  /**
   * Sees each route before the router does. The application may put a strategy of its own in the place of one of the router's,
   * but not when a route uses that: a constraint that a route is the first to use is the router's own for good.
   */
  note (fastify: FastifyInstance, constraints: Constraints = {}): void {
    for (const name of STRATEGIES) {
      if (constraints[name] !== undefined && !fastify.hasConstraintStrategy(name)) this.#standard.add(name)
    }
  }

  add (url: string, constraints: Constraints = {}): void {
    this.#routes.push([url, constraints])
    this.#router = null
  }

  matches (fastify: FastifyInstance, { url, headers }: Pick<IncomingMessage, 'url' | 'headers'>): boolean {
    this.#router ??= this.#createRouter(fastify)
    return this.#router.find('GET', String(url), this.#select({ host: headers.host, version: headers['accept-version'] })) !== null
  }

  #createRouter ({ initialConfig }: FastifyInstance): Router {
    // A parameter that is too long is an answer of the router itself.
    const router = FindMyWay({ ...readSettings(initialConfig), onMaxParamLength: NOOP })
    for (const [url, constraints] of this.#routes) {
      for (const path of pathsOf(url)) {
        try {
          router.on('GET', path, { constraints: this.#select(constraints) }, NOOP)
        } catch {
          // Fastify's router has taken it by the same rules: there is one already that only a constraint of the application
          // tells apart from it.
        }
      }
    }
    return router
  }

  #select (constraints: Constraints): Constraints {
    const known = STRATEGIES.filter((name) => this.#standard.has(name) && constraints[name] !== undefined)
    return Object.fromEntries(known.map((name) => [name, constraints[name]]))
  }
}

// The router adds an optional parameter as two paths, and not the second one when something is at the first.
function pathsOf (url: string): string[] {
  const [, before = '', parameter, slash = ''] = /^(.*)(\/:[^/()]*)\?(\/?)$/.exec(url) ?? []
  return parameter === undefined ? [url] : [`${before}${parameter}${slash}`, `${before}${slash}` || '/']
}

// An option may stand in `routerOptions` or, as it once did, beside them; in either place Fastify fills in defaults.
function readSettings (config: Settings): Settings {
  const options = config.routerOptions as Settings | undefined
  return Object.fromEntries(Object.entries(DEFAULTS).map(([name, byDefault]) => {
    const isSet = options?.[name] !== undefined && options[name] !== byDefault
    return [name, isSet ? options[name] : config[name]]
  }))
}
