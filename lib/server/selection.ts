// Which of all connections a call is for.
import { inspect } from 'node:util'
import type { WebSocketConnection } from '../../types/connection.ts'
import type { ValuesOptions } from '../../types/websockets.ts'
import type { ConnectionRoute } from '../connection/connection-route.ts'
import { type Connection, sessionOf } from '../connection/connection.ts'
import type { Session } from '../connection/session.ts'
import { FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_ROUTE_UNKNOWN } from '../errors.ts'
import { isThenable } from '../thenable.ts'
import type { PubSub, Subscriber } from '../topics/pub-sub.ts'

interface AllConnections {
  readonly open: Iterable<Connection>
  readonly routes: ReadonlyMap<string, ReadonlySet<ConnectionRoute>>
  readonly pubSub: PubSub
}

type Test = (connection: Connection) => boolean

/**
 * The connections of a route, of a topic, and that a filter says yes to, which is asked for those that pass the test before it.
 *
 * @throws FST_ERR_WS_ROUTE_UNKNOWN, FST_ERR_WS_TOPIC; an iteration FST_ERR_WS_OPTION_INVALID, and what a filter throws
 */
export function select ({ open, routes, pubSub }: AllConnections, { route, topic, filter }: ValuesOptions, test?: Test): IterableIterator<Connection> {
  const tests: Test[] = test === undefined ? [] : [test]
  if (route !== undefined) {
    const matching = routes.get(route)
    if (matching === undefined) throw FST_ERR_WS_ROUTE_UNKNOWN(inspect(route), [...routes.keys()].join(', '))
    tests.push((connection) => matching.has(sessionOf(connection).route))
  }
  if (filter !== undefined) tests.push((connection) => passes(filter, connection))
  return passing(topic === undefined ? open : connectionsOf(pubSub.members(topic)), tests)
}

// A promise is truthy, whatever it resolves to.
function passes (filter: (connection: WebSocketConnection) => unknown, connection: Connection): boolean {
  const result = filter(connection as unknown as WebSocketConnection)
  if (!isThenable(result)) return Boolean(result)
  Promise.resolve(result).catch(() => {})
  throw FST_ERR_WS_OPTION_INVALID('filter', 'a function that returns a boolean', 'one that returns a promise')
}

function * passing (connections: Iterable<Connection>, tests: readonly Test[]): IterableIterator<Connection> {
  for (const connection of connections) if (tests.every((test) => test(connection))) yield connection
}

// Nobody subscribes but connections that are open.
function * connectionsOf (subscribers: Iterable<Subscriber>): Iterable<Connection> {
  for (const subscriber of subscribers) yield (subscriber as Session).connection
}
