// One connection, seen from both of its ends.
import type { ConnectionClose, WebSocketConnection, WebSocketError } from '../../index.ts'
import { startApp, type Teardown } from './app.ts'
import { deferred } from './deferred.ts'
import { openRaw } from './raw.ts'

export const DEFLATE = { 'Sec-WebSocket-Extensions': 'permessage-deflate' }
export const DEFLATE_SHARED = { 'Sec-WebSocket-Extensions': 'permessage-deflate; server_no_context_takeover' }

export async function openConnection (t: Teardown, options: object = {}, headers: Record<string, string> = {}) {
  const connection = deferred<WebSocketConnection>()
  const close = deferred<ConnectionClose>()
  const errors: WebSocketError[] = []
  const { app, port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      perMessageDeflate: true,
      onConnection (conn) { connection.resolve(conn) },
      onClose (_conn, result) { close.resolve(result) },
      onError (_conn, error) { errors.push(error) },
      ...options
    })
  })
  const client = await openRaw(t, port, '/', headers)
  return { app, client, conn: await connection.promise, close: close.promise, errors, logs, port }
}
