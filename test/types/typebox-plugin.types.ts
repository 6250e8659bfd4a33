// With the plugin types of TypeBox, and with schemas that are declared elsewhere.
import type { FastifyPluginAsyncTypebox, FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import websocket from '../../index.ts'
import { type Equal, same } from './same.ts'

const Session = Type.Object({ 'x-session': Type.String() })
const schema = {
  params: Type.Object({ id: Type.Integer() }),
  response: { 101: { headers: Session }, 403: Type.Object({ why: Type.String() }) }
}
const protocols = ['v2', 'v1'] as const

export const asyncPlugin: FastifyPluginAsyncTypebox = async (fastify) => {
  await fastify.register(websocket)
  fastify.websocketRoute('/:id', {
    schema,
    protocols,
    async onHandshake (conn, request) {
      same<Equal<typeof request.params, { id: number }>>()
      conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'v1' })
      // @ts-expect-error x-session is required
      conn.acceptWith({ protocol: 'v1' })
      // @ts-expect-error v3 is not one of the protocols
      conn.acceptWith({ headers: { 'x-session': 's' }, protocol: 'v3' })
      conn.reject({ code: 403, body: { why: 'because' } })
      // @ts-expect-error why is a string
      conn.reject({ code: 403, body: { why: 1 } })
    }
  })
}

export const callbackPlugin: FastifyPluginCallbackTypebox = (fastify, _options, done) => {
  fastify.websocketRoute('/:id', {
    schema,
    onConnection (conn, request) {
      same<Equal<typeof request.params.id, number>>()
      same<Equal<typeof conn.request.params.id, number>>()
    }
  })
  done()
}
