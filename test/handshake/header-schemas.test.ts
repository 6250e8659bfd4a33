import t from 'tap'
import { Type } from 'typebox'
import { HeaderValidators, splitHeaderSchemas } from '../../lib/handshake/header-schemas.ts'

const headers = { type: 'object' }
const body = { type: 'string' }

t.test('splitHeaderSchemas leaves a schema without header schemas as it is', async (t) => {
  for (const schema of [{}, { params: {} }, { response: undefined }, { response: 'odd' }, { response: { 200: body, 204: true, '2xx': null } }]) {
    const split = splitHeaderSchemas(schema)
    t.same(split.schema, schema)
    t.equal(split.headerSchemas, null)
  }
})

t.test('splitHeaderSchemas takes the header schemas out and keeps the rest', async (t) => {
  const typebox = Type.Object({ error: Type.String() })
  const { schema, headerSchemas } = splitHeaderSchemas({
    params: headers,
    response: {
      101: { headers },
      401: { headers, content: { 'application/json': { schema: body } } },
      402: { description: 'only described', headers },
      '4XX': { headers, ...typebox },
      default: body
    }
  })
  t.same(schema, { params: headers, response: { 401: { content: { 'application/json': { schema: body } } }, '4XX': typebox, default: body } })
  t.same([...headerSchemas ?? []].sort(), [['101', headers], ['401', headers], ['402', headers], ['4xx', headers], ['default', undefined]])
})

t.test('HeaderValidators finds the validator of a status as Fastify finds its body schema', async (t) => {
  const compiler = ({ schema }: { schema: unknown }) => () => ({ value: { from: schema } })
  const declared = new Map<string, unknown>([['101', 'a'], ['401', 'b'], ['402', undefined], ['4xx', 'c'], ['default', 'd']])
  const validators = new HeaderValidators(declared, compiler as never, '/')
  const from = (status: number): unknown => (validators.for(status)?.({}) as { from: unknown } | undefined)?.from
  t.same([101, 401, 402, 404, 500, 302].map(from), ['a', 'b', undefined, 'c', 'd', 'd'])
  const fewer = new HeaderValidators(new Map([['401', 'b'], ['default', 'd']]), compiler as never, '/')
  t.equal(fewer.for(101), undefined, 'the default is not for the 101')
  t.equal(new HeaderValidators(new Map([['401', 'b']]), compiler as never, '/').for(402), undefined)
})

t.test('a validator describes the first error, whatever it looks like', async (t) => {
  const message = (errors: unknown): string => {
    const validate = Object.assign(() => false, { errors })
    try {
      new HeaderValidators(new Map([['101', { properties: null }]]), (() => validate) as never, '/').for(101)?.({})
    } catch (error) {
      return (error as Error).message.replace(/.*headers: /, '')
    }
    return 'nothing thrown'
  }
  t.equal(message([{ instancePath: '/x-a', message: 'must be string' }, { message: 'second' }]), 'headers/x-a must be string')
  t.equal(message([{ message: 'must be' }]), 'headers must be')
  for (const errors of [['text'], 'text']) t.equal(message(errors), 'text')
  for (const errors of [undefined, null, [], 1]) t.equal(message(errors), 'headers not valid')
})
