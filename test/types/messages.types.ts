// Messages have the types of `schema.receive` and `schema.send`, wherever they are seen.
import Fastify, { type FastifyInstance } from 'fastify'
import type { JsonSchemaToTsProvider } from '@fastify/type-provider-json-schema-to-ts'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { Type } from 'typebox'
import { z } from 'zod'
import type { ConnectionClose, WebSocketConnection, WebSocketError } from '../../index.ts'
import { type Equal, same } from './same.ts'

const plain = Fastify()
const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()

const schema = {
  receive: Type.Union([
    Type.Object({ type: Type.Literal('say'), text: Type.String() }),
    Type.Object({ type: Type.Literal('leave') })
  ]),
  send: Type.Object({ from: Type.Integer(), text: Type.String() })
}
type Received = { type: 'say', text: string } | { type: 'leave' }

// ---- TypeBox -------------------------------------------------------------------------------------------------------------

app.websocketRoute('/typebox', {
  schema,
  onHandshake (conn) {
    // @ts-expect-error text is missing
    conn.sendMessage({ from: 1 })
  },
  async onConnection (conn) {
    for await (const message of conn) {
      same<Equal<typeof message, Received>>()
      if (message.type === 'say') conn.sendMessage({ from: conn.id, text: message.text })
    }
  },
  onMessage (conn, message) {
    same<Equal<typeof message, Received>>()
    same<Equal<typeof this, FastifyInstance<typeof app.server, typeof conn.request.raw, Parameters<typeof this.routing>[1], typeof conn.log, TypeBoxTypeProvider>>>()
    // @ts-expect-error only a message of the other type has a text
    String(message.text)
    const isFine: boolean = conn.sendMessage({ from: conn.id, text: 'x' })
    // @ts-expect-error from is an integer
    conn.sendMessage({ from: 'me', text: 'x' })
    same<Equal<ReturnType<typeof conn.publish>, number>>()
    same<Equal<typeof conn.topics, readonly string[]>>()
    conn.subscribe('tea')
    conn.unsubscribe('tea')
    conn.publish('tea', { from: conn.id, text: 'x' })
    conn.publish('tea', { from: conn.id, text: 'x' }, { self: true })
    // @ts-expect-error: it is a boolean
    conn.publish('tea', { from: conn.id, text: 'x' }, { self: 1 })
    // @ts-expect-error from is an integer
    conn.publish('tea', { from: 'me', text: 'x' })
    // @ts-expect-error a topic is a string
    conn.subscribe(1)
    // @ts-expect-error the schema is not for binary messages
    conn.sendMessage(Buffer.alloc(1))
    return isFine ? undefined : conn.drained()
  },
  onClose (conn, close) {
    same<Equal<typeof close, ConnectionClose>>()
    same<Equal<typeof close.initiator, 'peer' | 'server' | 'network'>>()
    same<Equal<typeof conn.latency, number | undefined>>()
    // @ts-expect-error the code is decided
    close.code = 1000
  },
  onError (conn, error) {
    same<Equal<typeof error, WebSocketError>>()
    conn.close(error.closeCode ?? 1011, error.reason)
    conn.sendMessage({ from: 0, text: error.message })
  }
})

app.websocketRoute('/typebox/both', {
  schema: {
    receive: { content: { 'application/json': { schema: Type.Object({ text: Type.String() }) }, 'application/octet-stream': {} } },
    send: { content: { 'application/json': { schema: Type.Object({ size: Type.Integer() }) }, 'application/octet-stream': {} } }
  },
  onMessage (conn, message) {
    same<Equal<typeof message, { text: string } | Buffer>>()
    conn.sendMessage(Buffer.isBuffer(message) ? { size: message.length } : Buffer.from(message.text))
    conn.sendMessage(new Uint8Array(1))
    conn.sendMessage(new Blob([]))
    // @ts-expect-error size is missing
    conn.sendMessage({})
  }
})

app.websocketRoute('/typebox/none', {
  schema: { params: Type.Object({ room: Type.String() }) },
  onMessage (conn, message) {
    same<Equal<typeof message, string | Buffer>>()
    same<Equal<typeof conn.request.params.room, string>>()
    conn.sendMessage(message)
    conn.sendMessage({ any: ['thing'] })
    conn.publish('tea', { any: ['thing'] })
  }
})

// ---- other providers, and none -------------------------------------------------------------------------------------------

app.websocketRoute('/typebox/binary', {
  schema: { send: { content: { 'application/octet-stream': {} } } },
  onConnection (conn) {
    conn.sendMessage(new Blob([]))
    conn.publish('tea', Buffer.alloc(1))
    // @ts-expect-error it takes time to read
    conn.publish('tea', new Blob([]))
  }
})

plain.websocketRoute('/none', {
  onMessage (conn, message) {
    same<Equal<typeof message, string | Buffer>>()
    conn.sendMessage(message)
  }
})

plain.websocketRoute('/unknown', {
  schema: { receive: { type: 'object' }, send: { type: 'object' } },
  onMessage (conn, message) {
    same<Equal<typeof message, unknown>>()
    conn.sendMessage(message)
  }
})

Fastify().withTypeProvider<ZodTypeProvider>().websocketRoute('/zod', {
  schema: { receive: z.object({ at: z.coerce.date() }), send: z.object({ ok: z.boolean() }) },
  onMessage (conn, message) {
    same<Equal<typeof message, { at: Date }>>()
    conn.sendMessage({ ok: message.at.getTime() > 0 })
    // @ts-expect-error only JSON is sent
    conn.sendMessage(new Blob([]))
    // @ts-expect-error ok is a boolean
    conn.sendMessage({ ok: 1 })
  }
})

Fastify().withTypeProvider<JsonSchemaToTsProvider>().websocketRoute('/json-schema-to-ts', {
  schema: {
    receive: { type: 'object', required: ['n'], additionalProperties: false, properties: { n: { type: 'integer' } } },
    send: { type: 'string' }
  },
  onMessage (conn, message) {
    same<Equal<typeof message, { n: number }>>()
    conn.sendMessage('text')
    // @ts-expect-error a string is sent
    conn.sendMessage(1)
  }
})

// ---- helpers -------------------------------------------------------------------------------------------------------------

async function anyMessages (conn: WebSocketConnection): Promise<void> {
  for await (const message of conn) {
    same<Equal<typeof message, unknown>>()
    if (message === 'enough') break
  }
  conn.sendMessage({ any: 'thing' })
}

async function ownMessages (conn: WebSocketConnection<typeof schema, TypeBoxTypeProvider>): Promise<void> {
  for await (const message of conn) {
    same<Equal<typeof message, Received>>()
    if (message.type === 'leave') break
  }
}

app.websocketRoute('/helpers', { schema, onConnection: anyMessages, onClose: anyMessages })
app.websocketRoute('/helpers', { schema, onConnection: ownMessages })
plain.websocketRoute('/helpers', { onConnection: anyMessages, onMessage: anyMessages })
// @ts-expect-error the route has another schema
app.websocketRoute('/helpers', { schema: { receive: Type.String() }, onConnection: ownMessages })

// ---- options -------------------------------------------------------------------------------------------------------------

app.websocketRoute('/options', { highWaterMark: 1024, maxBufferedAmount: 4096, heartbeat: false, onMessage () {} })
// @ts-expect-error a heartbeat has an interval or is off
app.websocketRoute('/options', { heartbeat: true, onMessage () {} })
// @ts-expect-error onError is for connections here, and no list
app.websocketRoute('/options', { onError: [() => {}], onMessage () {} })
