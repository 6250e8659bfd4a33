// Which entry of `schema.response` is meant for a status, in every spelling, and which part of it.
import Fastify from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { RejectOptions } from '../../index.ts'

// 401 and '401' are one and the same key of an object, but not of its type.
const FORBIDDEN = '403'
const SWITCHING = '101'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()

app.websocketRoute('/fallbacks', {
  schema: {
    response: {
      401: Type.Object({ error: Type.String() }),
      [FORBIDDEN]: Type.Object({ reason: Type.String() }),
      '4xx': Type.Object({ client: Type.Boolean() }),
      '5XX': Type.Object({ server: Type.Boolean() }),
      default: Type.Object({ other: Type.Boolean() })
    }
  },
  onHandshake (conn) {
    conn.reject({ code: 401, body: { error: 'its own' } })
    conn.reject({ code: 403, body: { reason: 'its own, under a string' } })
    conn.reject({ body: { reason: 'that of 403' } })
    conn.reject({ code: undefined, body: { reason: 'that of 403' } })
    conn.reject({ code: 404, body: { client: true } })
    conn.reject({ code: 503, body: { server: true } })
    conn.reject({ code: 302, body: { other: true } })
    // @ts-expect-error a 401 has an entry of its own
    conn.reject({ code: 401, body: { client: true } })
    // @ts-expect-error a 403 has an entry of its own
    conn.reject({ code: 403, body: { client: true } })
    // @ts-expect-error without a code it is 403
    conn.reject({ body: { client: true } })
    // @ts-expect-error a 404 goes by 4xx
    conn.reject({ code: 404, body: { other: true } })
    // @ts-expect-error a 503 goes by 5XX
    conn.reject({ code: 503, body: { other: true } })
    // @ts-expect-error a 302 goes by default
    conn.reject({ code: 302, body: { client: true } })
  }
})

app.websocketRoute('/headers', {
  schema: {
    response: {
      401: { headers: Type.Object({ 'www-authenticate': Type.String() }) },
      402: { description: 'Pay first.', headers: Type.Object({ 'x-price': Type.Integer() }) },
      403: { headers: Type.Object({ 'x-why': Type.String() }) },
      409: { headers: Type.Object({ 'x-owner': Type.Optional(Type.String()) }), ...Type.Object({ taken: Type.Boolean() }) },
      415: Type.Object({ subprotocol: Type.String() }),
      '4xx': { headers: Type.Object({ 'x-hint': Type.String() }), content: { 'application/json': { schema: Type.Object({ client: Type.Boolean() }) } } }
    }
  },
  onHandshake (conn) {
    conn.reject({ code: 401, headers: { 'www-authenticate': 'Bearer' }, body: { client: true } })
    // @ts-expect-error an entry with headers only leaves the body to 4xx
    conn.reject({ code: 401, headers: { 'www-authenticate': 'Bearer' }, body: { error: 'no' } })
    // @ts-expect-error a 401 has headers of its own
    conn.reject({ code: 401, headers: { 'x-hint': 'log in' } })

    conn.reject({ code: 402, headers: { 'x-price': 5 }, body: { client: true } })
    // @ts-expect-error a description describes no body: it is left to 4xx
    conn.reject({ code: 402, headers: { 'x-price': 5 }, body: 'Pay first.' })

    conn.reject({ headers: { 'x-why': 'that of 403' } })
    // @ts-expect-error x-why is required for 403, which it is without a code
    conn.reject()
    // @ts-expect-error x-why is required for 403, which it is without a code
    conn.reject({ body: { client: true } })

    conn.reject({ code: 409, body: { taken: true } })
    conn.reject({ code: 409, headers: { 'x-owner': 'ann' }, body: { taken: true } })
    // @ts-expect-error what stands beside the headers is the schema of the body
    conn.reject({ code: 409, body: { client: true } })

    conn.reject({ code: 415, body: { subprotocol: 'chat.v2' } })
    conn.reject({ code: 415, headers: { 'x-any': 'thing' } })

    conn.reject({ code: 404, headers: { 'x-hint': 'elsewhere' }, body: { client: true } })
    // @ts-expect-error x-hint is required for 4xx
    conn.reject({ code: 404 })

    conn.reject({ code: 503, headers: { 'x-any': 'thing' }, body: 'anything' })
  }
})

app.websocketRoute('/content-types', {
  schema: {
    response: {
      401: {
        content: {
          'application/json': { schema: Type.Object({ error: Type.String() }) },
          'text/plain': { schema: Type.String() }
        }
      }
    }
  },
  onHandshake (conn) {
    conn.reject({ code: 401, body: { error: 'authorization required' } })
    conn.reject({ code: 401, body: 'authorization required' })
    // @ts-expect-error no content type has such a body
    conn.reject({ code: 401, body: 401 })
  }
})

app.websocketRoute('/codes', {
  schema: {
    response: {
      401: Type.Object({ error: Type.String() }),
      403: { headers: Type.Object({ 'x-why': Type.String() }), content: { 'application/json': { schema: Type.Object({ error: Type.String() }) } } },
      404: Type.Object({ missing: Type.String() })
    }
  },
  onHandshake (conn) {
    // Which status it will be is not known, so nothing is known of its schema.
    const code: number = Number('401')
    conn.reject({ code })
    conn.reject({ code, body: { any: 'thing' }, headers: { 'x-any': 'thing' } })
    const options: RejectOptions = { code, body: 'anything' }
    conn.reject(options)

    // One of two: what is given must fit both.
    const either = code > 401 ? 401 : 403
    conn.reject({ code: either, headers: { 'x-why': 'either' }, body: { error: 'either' } })
    // @ts-expect-error x-why is required if it is 403
    conn.reject({ code: either, body: { error: 'either' } })
    // @ts-expect-error the body of a 404 has another shape
    conn.reject({ code: code > 401 ? 401 : 404, body: { error: 'not for 404' } })

    const declared = { code: 401, body: { error: 'declared elsewhere' } } as const
    conn.reject(declared)
    const wrong = { code: 404, body: { error: 'declared elsewhere' } } as const
    // @ts-expect-error the body of a 404 has another shape
    conn.reject(wrong)
  }
})

// ---- the 101 ------------------------------------------------------------------------------------------------------------

app.websocketRoute('/string', {
  schema: { response: { [SWITCHING]: { headers: Type.Object({ 'x-session': Type.String() }) } } },
  onHandshake (conn) {
    conn.acceptWith({ headers: { 'x-session': 's' } })
    // @ts-expect-error x-session is required, so the options are
    conn.acceptWith()
  }
})

app.websocketRoute('/described', {
  schema: { response: { 101: { description: 'Switching Protocols' }, 200: Type.Object({ online: Type.Integer() }) } },
  onHandshake (conn) { conn.acceptWith({ headers: { 'x-any': 'thing' } }) },
  // @ts-expect-error the 101 leaves the body of a 200 what it is
  handler: async () => ({ offline: 1 })
})

app.websocketRoute('/described', {
  schema: { response: { [SWITCHING]: { description: 'Switching Protocols' }, 200: Type.Object({ online: Type.Integer() }) } },
  onHandshake (conn) { conn.acceptWith() },
  // @ts-expect-error the 101 leaves the body of a 200 what it is
  handler: async () => ({ offline: 1 })
})

app.websocketRoute('/not-for-101', {
  schema: {
    response: {
      '1xx': { headers: Type.Object({ 'x-class': Type.String() }) },
      default: { headers: Type.Object({ 'x-default': Type.String() }) }
    }
  },
  onHandshake (conn) {
    conn.acceptWith()
    conn.acceptWith({ headers: { 'x-any': 'thing' } })
    // @ts-expect-error x-default is required for every refusal
    conn.reject()
  }
})
