import crossws, { type NodeAdapter } from 'crossws/adapters/node'
import type { Hooks, Peer } from 'crossws'
import { createServer, type Server } from 'node:http'
import { answerJson, isAllowed, MAX_PAYLOAD, type Member, REFUSAL, sessionHeaders, TOPIC } from '../workload.ts'

const ECHO: Partial<Hooks> = {
  message (peer, message) { peer.send(message.rawData) }
}

const subscribers = new Set<Peer>()

const NEWS: Partial<Hooks> = {
  open (peer) {
    if (!peer.request.url.endsWith('/subscribe')) return
    peer.subscribe(TOPIC)
    subscribers.add(peer)
  },
  close (peer) { subscribers.delete(peer) },
  message (peer, message) { peer.publish(TOPIC, message.text()) }
}

export function start (): Server {
  // The subscribers of a topic are those of one adapter.
  const news = adapter(NEWS)
  const routes = new Map([
    ['/echo', adapter(ECHO)],
    ['/json', adapter({ message (peer, message) { peer.send(answerJson(message.text())) } })],
    ['/checked', adapter({ ...ECHO, upgrade: check })],
    ['/session', adapter({ ...ECHO, upgrade: (request) => check(request) ?? { headers: sessionHeaders() } })],
    ['/refused', adapter({ ...ECHO, upgrade: () => Response.json(REFUSAL, { status: 401 }) })],
    ['/subscribe', news],
    ['/publish', news]
  ])
  return createServer().on('upgrade', (request, socket, head) => {
    void routes.get(request.url ?? '')?.handleUpgrade(request, socket, head)
  })
}

export function members (): readonly Member[] {
  return [...subscribers]
}

function adapter (hooks: Partial<Hooks>): NodeAdapter {
  // Its topics belong to a namespace, which is otherwise the path.
  return crossws({ hooks, getNamespace: () => 'bench', serverOptions: { maxPayload: MAX_PAYLOAD } })
}

function check (request: Request): Response | undefined {
  return isAllowed(Object.fromEntries(request.headers)) ? undefined : Response.json(REFUSAL, { status: 401 })
}
