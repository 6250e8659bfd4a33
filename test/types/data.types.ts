// What onHandshake returns is conn.data in the callbacks after it.
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import type { FastifyPluginAsyncTypebox, TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { WebSocketConnection, WebSocketConnectionWith } from '../../index.ts'
import { type Equal, same } from './same.ts'

interface User { readonly name: string }

declare function findUser (token: string | undefined): Promise<User | undefined>

const plain = Fastify()
const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()

// ---- inferred -----------------------------------------------------------------------------------------------------------

plain.websocketRoute('/', {
  onHandshake (conn) {
    same<Equal<typeof conn.data, undefined>>()
    return { user: { name: 'Ann' } }
  },
  onConnection (conn) { same<Equal<typeof conn.data, { user: { name: string } }>>() },
  onMessage (conn) { same<Equal<typeof conn.data, { user: { name: string } }>>() },
  onClose (conn) { same<Equal<typeof conn.data, { user: { name: string } }>>() },
  onError (conn) { same<Equal<typeof conn.data, { user: { name: string } }>>() }
})

// Paths that refuse do not widen it, whichever way they return.
app.websocketRoute('/', {
  schema: { querystring: Type.Object({ token: Type.String() }), response: { 401: Type.Object({ error: Type.String() }) } },
  async onHandshake (conn, request) {
    const user = await findUser(request.query.token)
    if (user === undefined) return conn.reject({ code: 401, body: { error: 'who are you?' } })
    if (user.name === '') {
      conn.reject()
      return
    }
    if (user.name === 'root') return undefined
    conn.acceptWith()
    return { user }
  },
  onConnection (conn) { same<Equal<typeof conn.data, { user: User }>>() },
  async onMessage (conn) {
    await findUser(undefined)
    same<Equal<typeof conn.data.user, User>>()
  }
})

// Nothing returned.
plain.websocketRoute('/', { onConnection (conn) { same<Equal<typeof conn.data, undefined>>() } })
plain.websocketRoute('/', { onHandshake (conn) { conn.acceptWith() }, onConnection (conn) { same<Equal<typeof conn.data, undefined>>() } })
plain.websocketRoute('/', { onHandshake: (conn) => conn.reject(), onConnection (conn) { same<Equal<typeof conn.data, undefined>>() } })
plain.websocketRoute('/', { async onHandshake (conn) { conn.acceptWith() }, onConnection (conn) { same<Equal<typeof conn.data, undefined>>() } })

// ---- in plugins ---------------------------------------------------------------------------------------------------------

const plugin: FastifyPluginAsync = async (instance) => {
  instance.websocketRoute('/', {
    onHandshake: () => ({ tenant: 1 }),
    onConnection (conn) { same<Equal<typeof conn.data, { tenant: number }>>() }
  })
}
const typeboxPlugin: FastifyPluginAsyncTypebox = async (instance) => {
  instance.websocketRoute('/', {
    schema: { receive: Type.Object({ text: Type.String() }) },
    onHandshake: async () => ({ tenant: 1 }),
    onMessage (conn, message) {
      same<Equal<typeof conn.data, { tenant: number }>>()
      same<Equal<typeof message, { text: string }>>()
    }
  })
}
plain.register(plugin)
app.register(typeboxPlugin)

function addRoutes (instance: FastifyInstance): void {
  instance.websocketRoute('/', { onHandshake: () => ({ tenant: 1 }), onConnection (conn) { same<Equal<typeof conn.data.tenant, number>>() } })
}
addRoutes(plain)

// ---- given, where the other types are given as well ---------------------------------------------------------------------

plain.websocketRoute<{ Params: { room: string }, Data: { user: User } }>('/:room', {
  onHandshake: async (conn, request) => {
    const user = await findUser(request.params.room)
    return user === undefined ? conn.reject() : { user }
  },
  onConnection (conn) { same<Equal<typeof conn.data, { user: User }>>() }
})
plain.websocketRoute<{ Params: { room: string } }>('/:room', { onConnection (conn) { same<Equal<typeof conn.data, undefined>>() } })

// ---- functions of one's own ---------------------------------------------------------------------------------------------

function greet (conn: WebSocketConnectionWith<{ user: User }>): void {
  conn.send(`Hello ${conn.data.user.name}`)
}

const chat = { receive: Type.Object({ text: Type.String() }), send: Type.Object({ from: Type.String(), text: Type.String() }) }

function answer (conn: WebSocketConnectionWith<{ user: User }, typeof chat, TypeBoxTypeProvider>, text: string): void {
  conn.sendMessage({ from: conn.data.user.name, text })
  // @ts-expect-error a text is missing
  conn.sendMessage({ from: conn.data.user.name })
}

function log (conn: WebSocketConnection): void {
  same<Equal<typeof conn.data, unknown>>()
}

app.websocketRoute('/', {
  schema: chat,
  onHandshake: async () => ({ user: { name: 'Ann' } as User }),
  onConnection: greet,
  onMessage (conn, { text }) {
    answer(conn, text)
    log(conn)
  }
})
// @ts-expect-error it has no user
plain.websocketRoute('/', { onHandshake: () => ({ tenant: 1 }), onConnection: greet })
// @ts-expect-error it has no data at all
plain.websocketRoute('/', { onConnection: greet })

// ---- what it is not -----------------------------------------------------------------------------------------------------

// @ts-expect-error false refuses nobody
plain.websocketRoute('/', { onHandshake: () => false })
// @ts-expect-error nor does a string
plain.websocketRoute('/', { onHandshake: async () => 'no' })
plain.websocketRoute('/', {
  onConnection (conn) {
    // @ts-expect-error it is read-only
    conn.data = {}
  }
})
