// What the types cost a user's compiler, in the types that it makes. Unlike seconds, they are the same on every machine. Needs the build.
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runNode } from '../support/plain-process.ts'

t.setTimeout(120_000) // four runs of a compiler, while other tests run

const start = `
  import Fastify from 'fastify'
  import websocket from 'fastify-websocket-route'
  import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
  import { Type } from 'typebox'
  const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
  await app.register(websocket)
  const Text = Type.Object({ text: Type.String() })
`

const post = `
  app.post('/', { schema: { body: Text, response: { 200: Text } } }, async (request, reply) => {
    const text: string = request.body.text
    return reply.send({ text })
  })
`

const websocketRoute = `
  app.websocketRoute('/', {
    schema: { receive: Text, send: Text },
    async onConnection (conn) {
      for await (const message of conn) conn.sendMessage({ text: message.text })
    },
    onMessage (conn, message) {
      const text: string = message.text
      conn.sendMessage({ text })
      conn.publish('texts', message)
    }
  })
`

for (const [name, compiler] of [['TypeScript 7', '@typescript/native/lib/tsc.js'], ['TypeScript 6', 'typescript/lib/tsc.js']] as const) {
  t.test(`a route with messages makes at most 1.5 times the types of a post route, with ${name}`, async (t) => {
    const count = (name: string, route: string): Promise<number> => typesOf(compiler, t.testdir({
      'tsconfig.json': JSON.stringify({
        compilerOptions: { noEmit: true, skipLibCheck: true, strict: true, module: 'nodenext', target: 'es2023', types: ['node'] },
        files: [`${name}.ts`]
      }),
      [`${name}.ts`]: start + route
    }))
    const expected = await count('post', post)
    const actual = await count('route', websocketRoute)
    t.ok(actual <= 1.5 * expected, `${actual} types, and ${expected} for the post route`)
  })
}

async function typesOf (compiler: string, folder: string): Promise<number> {
  const { output } = await runNode(folder, [fileURLToPath(new URL(`../../node_modules/${compiler}`, import.meta.url)), '--extendedDiagnostics'])
  const types = Number(/^Types: +(\d+)$/m.exec(output)?.[1])
  if (/error TS/.test(output) || !(types > 10_000)) throw new Error(output)
  return types
}
