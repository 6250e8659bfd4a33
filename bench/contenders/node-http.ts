// A reference for refusals: no WebSocket at all, an ordinary response of node:http.
import { createServer, type Server } from 'node:http'
import { REFUSAL } from '../workload.ts'

export function start (): Server {
  return createServer((_request, response) => {
    const body = JSON.stringify(REFUSAL)
    response.writeHead(401, {
      connection: 'close', 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body)
    }).end(body)
  })
}
