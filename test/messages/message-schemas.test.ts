// schema.receive and schema.send, over the wire.
import { once } from 'node:events'
import t from 'tap'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { TypeBoxValidatorCompiler, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { Type } from 'typebox'
import { z } from 'zod'
import websocket, { errors, type WebSocketError } from '../../index.ts'
import { startApp, type Teardown } from '../support/app.ts'
import { connect, nextMessage } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { closeFrame, maskedFrame, openRaw, textFrame } from '../support/raw.ts'

t.setTimeout(240_000)

// For schemas that leave out a type, of which Ajv would write to the console.
const untyped: FastifyServerOptions = { ajv: { customOptions: { strictTypes: false } } }

/** A route that sends back as JSON what its handler got; errors of messages are kept, and leave the connection open. */
async function startEcho (t: Teardown, schema: object, setUp: (app: FastifyInstance) => unknown = () => {}, server: FastifyServerOptions = {}) {
  const failures: WebSocketError[] = []
  const { port } = await startApp(t, async (app) => {
    await setUp(app)
    app.websocketRoute('/', {
      schema,
      onMessage (conn, message) { conn.send(JSON.stringify(message)) },
      onError (conn, error) { failures.push(error); conn.send(`${String(error.code)}: ${String(error.reason)}`) }
    })
  }, { server })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  const answer = async (message: string | Buffer): Promise<string> => {
    socket.send(message)
    return await nextMessage(socket)
  }
  return { answer, failures }
}

const person = { type: 'object', required: ['name'], additionalProperties: false, properties: { name: { type: 'string', maxLength: 5 }, age: { type: 'integer', default: 7 } } }

// ---- receive ---------------------------------------------------------------------------------------------------------------

t.test('a message is validated, coerced, filled with defaults and stripped of what is not in the schema', async (t) => {
  const { answer } = await startEcho(t, { receive: person })
  t.equal(await answer('{"name":"ada","age":"36","extra":1}'), '{"name":"ada","age":36}')
  t.equal(await answer('{"name":5}'), '{"name":"5","age":7}')
})

t.test('a message that is no JSON or does not fit is FST_ERR_WS_MESSAGE_INVALID, with what the validator says', async (t) => {
  const { answer, failures } = await startEcho(t, { receive: person })
  t.equal(await answer('{"age":1}'), "FST_ERR_WS_MESSAGE_INVALID: message must have required property 'name'")
  t.equal(await answer('{"name":"too long"}'), 'FST_ERR_WS_MESSAGE_INVALID: message/name must NOT have more than 5 characters')
  t.equal(await answer('{"name":'), 'FST_ERR_WS_MESSAGE_INVALID: message is not JSON')
  t.equal(await answer(''), 'FST_ERR_WS_MESSAGE_INVALID: message is not JSON')
  t.equal(await answer('{"__proto__":{"admin":true},"name":"ada"}'), 'FST_ERR_WS_MESSAGE_INVALID: message is not JSON')
  t.equal(await answer(Buffer.from('{"name":"ada"}')), 'FST_ERR_WS_MESSAGE_INVALID: message must be text, got a binary one')
  t.match(failures[0], {
    code: 'FST_ERR_WS_MESSAGE_INVALID',
    statusCode: 400,
    closeCode: 1007,
    validationContext: 'message',
    message: "A message does not fit schema.receive: message must have required property 'name'",
    validation: [{ keyword: 'required', params: { missingProperty: 'name' } }]
  })
  t.ok(failures[0] instanceof errors.FST_ERR_WS_MESSAGE_INVALID)
  t.match(failures[2], { closeCode: 1007, validation: undefined, cause: SyntaxError })
  t.match(failures[5], { closeCode: 1003 })
  t.equal(await answer('{"name":"ada"}'), '{"name":"ada","age":7}', 'and the connection goes on')
})

t.test('by default an invalid message closes with 1007, a binary one with 1003, and says why', async (t) => {
  const { port, logs } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      schema: { receive: { type: 'object', properties: { kind: { enum: ['é'.repeat(100)] }, name: { type: 'string' } } } },
      onMessage (conn) { conn.send('fine') }
    })
  })
  for (const [frame, code, reason] of [
    [textFrame('{"name":{}}'), 1007, 'message/name must be string'],
    [textFrame('nonsense'), 1007, 'message is not JSON'],
    [maskedFrame(0x82, Buffer.from('{}')), 1003, 'message must be text, got a binary one'],
    [textFrame('[]'), 1007, 'message must be object']
  ] as const) {
    const client = await openRaw(t, port)
    client.write(Buffer.concat([textFrame('{}'), frame, textFrame('{}')]))
    t.same(await client.untilClose(), { code, reason })
    t.same(client.frames.map(({ first }) => first), [0x81, 0x88], 'what came after it was not handled')
    client.write(closeFrame(code))
    await client.untilEnd()
  }
  t.same(logs.filter(({ err }) => err?.code === 'FST_ERR_WS_MESSAGE_INVALID').map(({ level }) => level), [20, 20, 20, 20], 'it is the fault of the peer')
})

t.test('a reason is cut to 123 bytes, and no character in two', async (t) => {
  const validation = 'é€😀'.repeat(40)
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      schema: { receive: {} },
      validatorCompiler: () => () => ({ error: new Error(validation) }),
      onMessage () {}
    })
  })
  const client = await openRaw(t, port)
  client.write(textFrame('1'))
  const { code, reason } = await client.untilClose()
  t.equal(code, 1007)
  t.ok(validation.startsWith(reason))
  t.ok(Buffer.byteLength(reason) > 119 && Buffer.byteLength(reason) <= 123)
})

t.test('a discriminated union is told apart by its literal', async (t) => {
  const receive = Type.Union([
    Type.Object({ type: Type.Literal('say'), text: Type.String() }, { additionalProperties: false }),
    Type.Object({ type: Type.Literal('move'), x: Type.Number() }, { additionalProperties: false })
  ])
  for (const setUp of [(): void => {}, (app: FastifyInstance) => app.setValidatorCompiler(TypeBoxValidatorCompiler)]) {
    const { answer } = await startEcho(t, { receive }, setUp)
    t.equal(await answer('{"type":"say","text":"hi"}'), '{"type":"say","text":"hi"}')
    t.equal(await answer('{"type":"move","x":1.5}'), '{"type":"move","x":1.5}')
    t.match(await answer('{"type":"jump"}'), /^FST_ERR_WS_MESSAGE_INVALID: message/)
  }
  const withDiscriminator = { type: 'object', discriminator: { propertyName: 'type' }, required: ['type'], oneOf: receive.anyOf }
  const { answer } = await startEcho(t, { receive: withDiscriminator }, () => {}, { ajv: { customOptions: { discriminator: true } } })
  t.equal(await answer('{"type":"move","x":"2"}'), '{"type":"move","x":2}')
  t.match(await answer('{"type":"jump"}'), /message\/type must be one of "say", "move"$/)
})

t.test('the members of a union do not get into each other\'s way', async (t) => {
  const strict = { additionalProperties: false }
  const say = Type.Object({ type: Type.Literal('say'), text: Type.String() }, strict)
  const shout = Type.Object({ text: Type.String(), volume: Type.Integer({ default: 11 }), type: Type.Literal('shout') }, strict)
  const count = Type.Object({ text: Type.Integer(), type: Type.Literal('count') }, strict)
  for (const receive of [Type.Union([say, shout, count]), { oneOf: [say, shout, count], discriminator: { propertyName: 'type' }, type: 'object' }]) {
    const { answer, failures } = await startEcho(t, { receive })
    t.equal(await answer('{"type":"shout","text":"hi","volume":"7","extra":1}'), '{"type":"shout","text":"hi","volume":7}')
    t.equal(await answer('{"type":"shout","text":"hi"}'), '{"type":"shout","text":"hi","volume":11}')
    t.equal(await answer('{"type":"count","text":true}'), '{"type":"count","text":1}')
    t.equal(await answer('{"type":"say","text":5}'), '{"type":"say","text":"5"}')
    t.match(await answer('{"type":"sing"}'), /message\/type must be one of "say", "shout", "count"$/)
    for (const type of ['null', '5', '{}', '["say"]']) t.match(await answer(`{"type":${type}}`), /message\/type must be one of/)
    t.match(await answer('{"text":"x"}'), /message must have required property 'type'$/)
    t.match(await answer('[]'), /message must be object$/)
    t.match(await answer('null'), /message must be object$/)
    t.match(await answer('{"type":"say","text":{}}'), /message\/text must be string$/)
    t.match(failures[0], { validation: [{ keyword: 'discriminator', instancePath: '/type', params: { allowedValues: ['say', 'shout', 'count'] } }] })
  }
})

t.test('what stands beside the members of a union holds for each of them', async (t) => {
  const a = { properties: { type: { type: 'string', const: 'a' } } }
  const b = { properties: { type: { type: 'string', const: 'b' }, room: { type: 'integer' } } }
  const required = (member: object): object => ({ ...member, required: ['type'] })
  const typed = (member: object): object => ({ ...member, type: 'object' })
  const unions: Array<[receive: object, good: Record<string, string>, bad: string[]]> = [
    [{ type: 'object', oneOf: [required(a), required(b)] }, { '{"type":"b","room":"1"}': '{"type":"b","room":1}' }, ['5', '"x"', 'null', '[]', '{}', '{"type":"c"}']],
    [{ type: 'object', required: ['type', 'room'], anyOf: [required(a), required(b)] }, { '{"type":"a","room":1}': '{"type":"a","room":1}' }, ['{"type":"a"}', '{"room":1}', '5']],
    [{ type: 'object', required: ['type'], anyOf: [a, b] }, { '{"type":"b","room":"1"}': '{"type":"b","room":1}' }, ['{}', '{"type":"c"}', '5']],
    [{ required: ['room'], anyOf: [typed(required(a)), typed(required(b))] }, { '{"type":"b","room":"1"}': '{"type":"b","room":1}' }, ['{"type":"a"}', '{"room":1}', '5']],
    [{ anyOf: [typed(required(a)), typed(required(b))], oneOf: [{ required: ['x'] }, { required: ['y'] }] }, { '{"type":"a","x":1}': '{"type":"a","x":1}' }, ['{"type":"a"}', '{"type":"a","x":1,"y":2}']],
    // With no type anywhere, what is no object fits all the members.
    [{ anyOf: [required(a), required(b)] }, { 5: '5', '{"type":"a"}': '{"type":"a"}' }, ['{"type":"c"}', '{}']],
    [{ oneOf: [required(a), required(b)] }, { '{"type":"a"}': '{"type":"a"}' }, ['5', '{"type":"c"}']],
    [{ type: ['object', 'integer'], anyOf: [required(a), required(b)] }, { 5: '5', '{"type":"a"}': '{"type":"a"}' }, ['[]']],
    [{ anyOf: [typed(required(a)), { ...typed(required(b)), nullable: true }] }, { null: 'null', '{"type":"a"}': '{"type":"a"}' }, ['5']]
  ]
  for (const [receive, good, bad] of unions) {
    const { answer } = await startEcho(t, { receive }, () => {}, untyped)
    for (const [message, expected] of Object.entries(good)) t.equal(await answer(message), expected, JSON.stringify(receive))
    for (const message of bad) t.match(await answer(message), /^FST_ERR_WS_MESSAGE_INVALID: /, `${message} ${JSON.stringify(receive)}`)
  }
})

t.test('a discriminator is coerced like every other property', async (t) => {
  const member = (v: string, extra: object): object => ({ type: 'object', required: ['v'], properties: { v: { type: 'string', const: v }, ...extra } })
  const { answer } = await startEcho(t, { receive: { anyOf: [member('1', {}), member('2', { a: { type: 'integer' } })] } })
  t.equal(await answer('{"v":2,"a":"5"}'), '{"v":"2","a":5}')
  t.equal(await answer('{"v":"2","a":"5"}'), '{"v":"2","a":5}')
  t.match(await answer('{"v":3}'), /message\/v must be one of "1", "2"$/)
})

t.test('a message that is nested too deep for its schema is not valid, and no error of the application', async (t) => {
  const tree = { $id: 'tree', type: 'object', properties: { child: { $ref: 'tree#' } } }
  const { port, logs } = await startApp(t, (app) => {
    app.addSchema(tree)
    app.websocketRoute('/', { schema: { receive: { $ref: 'tree#' } }, onMessage () { t.fail('it is not valid') } })
  })
  const client = await openRaw(t, port)
  client.write(textFrame('{"child":'.repeat(100_000) + '{}' + '}'.repeat(100_000)))
  t.match(await client.untilClose(), { code: 1007, reason: 'message cannot be validated: Maximum call stack size exceeded' })
  t.match(logs.filter(({ msg }) => msg === 'WebSocket error'), [{ level: 20, err: { code: 'FST_ERR_WS_MESSAGE_INVALID' } }])
})

t.test('what a validator throws is an error of the application', async (t) => {
  const { answer } = await startEcho(t, { receive: {} }, (app) => app.setValidatorCompiler(() => () => { throw Object.assign(new Error('x'), { code: 'OWN' }) }))
  t.equal(await answer('1'), 'OWN: undefined')
})

t.test('a union that no property tells apart is left to the validator', async (t) => {
  const named = { type: 'object', required: ['t'], properties: { t: { const: 'x' } } }
  const cases: Array<[receive: object, message: string, answer: string]> = [
    [{ anyOf: [{ type: 'string', maxLength: 3 }, { type: 'integer' }] }, '5000', '5000'],
    [{ anyOf: [named, { type: 'object', required: ['a'], properties: { a: { type: 'integer' } } }] }, '{"a":"1"}', '{"a":1}'],
    [{ anyOf: [{ $ref: 'number#' }, named] }, '5', '5'],
    [{ anyOf: [{ type: 'integer' }], minimum: 3 }, '5', '5'],
    [{ anyOf: [true, false] }, '5', '5'],
    [{ anyOf: [named, named] }, '{"t":"x"}', '{"t":"x"}'],
    [{ oneOf: [named, { ...named, required: [], properties: { t: { const: 'y' } } }] }, '{"t":"y"}', '{"t":"y"}']
  ]
  for (const [receive, message, expected] of cases) {
    const { answer } = await startEcho(t, { receive }, (app) => app.addSchema({ $id: 'number', type: 'number' }), untyped)
    t.equal(await answer(message), expected, JSON.stringify(receive))
  }
})

t.test('a message that is no object is coerced as its properties would be', async (t) => {
  const { answer } = await startEcho(t, { receive: { type: 'integer' } })
  t.equal(await answer('"42"'), '42')
  t.equal(await answer('7'), '7')
  t.match(await answer('"x"'), /message must be integer/)
  const list = await startEcho(t, { receive: { type: 'array', items: { type: 'integer' } } })
  t.equal(await list.answer('"1"'), '[1]')
})

t.test('shared schemas are found, and prefixes and encapsulation are as for bodies', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.addSchema({ $id: 'name', type: 'string', maxLength: 3 })
    void app.register(async (child) => {
      child.addSchema({ $id: 'own', type: 'object', properties: { name: { $ref: 'name#' } } })
      child.websocketRoute('/', {
        schema: { receive: { $ref: 'own#' }, send: { $ref: 'own#' } },
        onMessage (conn, message) { conn.sendMessage({ ...message as object, secret: 1 }) },
        onError (conn, { message }) { conn.send(message) }
      })
    }, { prefix: '/child' })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/child/`)
  socket.send('{"name":"ada"}')
  t.equal(await nextMessage(socket), '{"name":"ada"}')
  socket.send('{"name":"grace"}')
  t.match(await nextMessage(socket), /message\/name must NOT have more than 3 characters/)
})

t.test('the server says what becomes of __proto__', async (t) => {
  const { answer } = await startEcho(t, { receive: { type: 'object' } }, () => {}, { onProtoPoisoning: 'remove', onConstructorPoisoning: 'remove' })
  t.equal(await answer('{"__proto__":{"admin":true},"constructor":{"prototype":1},"a":1}'), '{"a":1}')
})

t.test('content says which kinds of messages are taken', async (t) => {
  const json = { 'application/json': { schema: person } }
  const both = await startEcho(t, { receive: { content: { ...json, 'application/octet-stream': {} } } })
  t.equal(await both.answer('{"name":"ada"}'), '{"name":"ada","age":7}')
  t.equal(await both.answer(Buffer.from([1, 2])), '{"type":"Buffer","data":[1,2]}')
  const text = await startEcho(t, { receive: { content: json } })
  t.match(await text.answer(Buffer.from([1, 2])), /message must be text/)
  const binary = await startEcho(t, { receive: { content: { 'application/octet-stream': {} } } })
  t.equal(await binary.answer(Buffer.from([1])), '{"type":"Buffer","data":[1]}')
  t.match(await binary.answer('{}'), /message must be binary, got text/)
  t.match(binary.failures[0], { closeCode: 1003 })
})

t.test('an iteration gets values, and what is not valid does not end it', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      schema: { receive: person },
      async onConnection (conn) { for await (const message of conn) conn.send(JSON.stringify(message)) },
      onError (conn, { code }) { conn.send(String(code)) }
    })
  })
  const client = await openRaw(t, port)
  client.write(Buffer.concat(['{"name":1}', 'x', '{"name":2}'].map(textFrame)))
  t.same((await client.untilFrames(3)).map(({ payload }) => payload.toString()), ['{"name":"1","age":7}', 'FST_ERR_WS_MESSAGE_INVALID', '{"name":"2","age":7}'])
})

t.test('listeners get the frames, whatever the schema', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      schema: { receive: person },
      onConnection (conn) { conn.on('message', (data, isBinary) => conn.send(data, { binary: isBinary })) }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.send('no JSON')
  t.equal(await nextMessage(socket), 'no JSON')
})

t.test('zod validates, transforms and serialises', async (t) => {
  const { port } = await startApp(t, (base) => {
    const app = base.withTypeProvider<ZodTypeProvider>()
    app.setValidatorCompiler(validatorCompiler)
    app.setSerializerCompiler(serializerCompiler)
    app.websocketRoute('/', {
      schema: { receive: z.object({ at: z.coerce.date() }), send: z.object({ year: z.int() }) },
      onMessage (conn, { at }) {
        conn.sendMessage({ year: at.getUTCFullYear() })
        t.throws(() => conn.sendMessage({ year: 1.5 }), { code: 'FST_ERR_WS_SEND_INVALID', cause: Error })
      },
      onError (conn, error) { conn.send(String(error.reason)) }
    })
  })
  const { socket } = await connect(t, `ws://127.0.0.1:${port}/`)
  socket.send('{"at":"1815-12-10"}')
  t.equal(await nextMessage(socket), '{"year":1815}')
  socket.send('{"at":"never"}')
  t.match(await nextMessage(socket), /^message\/at Invalid/)
})

t.test('a validator that is asynchronous is an error of the message, not of the process', async (t) => {
  const { answer } = await startEcho(t, { receive: {} }, (app) => app.setValidatorCompiler(() => (async () => true) as never))
  t.match(await answer('1'), /the validator is asynchronous/)
  const rejecting = await startEcho(t, { receive: {} }, (app) => app.setValidatorCompiler(() => (async () => { throw new Error('invalid') }) as never))
  t.match(await rejecting.answer('1'), /the validator is asynchronous/)
})

// ---- send ------------------------------------------------------------------------------------------------------------------

t.test('sendMessage serialises by the schema, and sends nothing that does not fit', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      schema: { send: { type: 'object', required: ['id'], properties: { id: { type: 'integer' }, text: { type: 'string' } } } },
      onConnection (conn) {
        for (const value of [{}, { id: 'x' }, undefined, null, { get id () { throw new Error('getter') } }]) {
          t.throws(() => conn.sendMessage(value), { code: 'FST_ERR_WS_SEND_INVALID', statusCode: 500 }, String(value))
        }
        t.throws(() => conn.sendMessage({ id: 'x' }), { cause: Error, message: /The value "x" cannot be converted to an integer/ })
        t.equal(conn.bufferedAmount, 0)
        t.equal(conn.sendMessage({ id: 1, text: 2, secret: 3 }), true)
      }
    })
  })
  const client = await openRaw(t, port)
  const [frame] = await client.untilFrames(1)
  t.same(frame, { first: 0x81, payload: Buffer.from('{"id":1,"text":"2"}') })
})

const kinds: Record<string, unknown[]> = {
  object: [{ a: 1 }, new (class { a = 1 })(), { toJSON: () => ({ a: 1 }) }, { a: 1, toJSON () { return this } }],
  array: [[1]],
  string: ['a', new Date(0)],
  number: [1.5],
  boolean: [true],
  null: [null]
}
const others: unknown[] = [() => {}, Symbol('s'), undefined, new Map([['a', 1]]).values, { toJSON: () => undefined }]

t.test('sendMessage takes no value of another kind than the root of the schema', async (t) => {
  const types = [...Object.keys(kinds), 'integer', ['string', 'number'], ['object', 'null']]
  const { port } = await startApp(t, (app) => {
    for (const type of types) {
      app.websocketRoute(`/${String(type)}`, {
        schema: { send: { type, properties: { a: { type: 'integer' } } } },
        onConnection (conn) {
          for (const [kind, values] of [...Object.entries(kinds), ['none', others] as const]) {
            const isTaken = [type].flat().includes(kind) || (type === 'integer' && kind === 'number')
            for (const value of values) {
              if (!isTaken) t.throws(() => conn.sendMessage(value), { code: 'FST_ERR_WS_SEND_INVALID', message: /the schema takes .*, got / }, `${String(type)}: ${kind}`)
              else conn.sendMessage(value)
            }
          }
          conn.close(1000)
        }
      })
    }
    app.websocketRoute('/nullable', {
      schema: { send: { type: 'integer', nullable: true } as const },
      onConnection (conn) { conn.sendMessage(null); conn.sendMessage(5n as never); conn.close(1000) }
    })
    app.websocketRoute('/throws', {
      schema: { send: { type: 'object' } as const },
      onConnection (conn) {
        t.throws(() => conn.sendMessage({ toJSON () { throw new Error('no JSON') } } as never), { code: 'FST_ERR_WS_SEND_INVALID', message: /no JSON/ })
        conn.close(1000)
      }
    })
  })
  const sent = async (path: string): Promise<string[]> => {
    const client = await openRaw(t, port, path)
    await client.untilClose()
    return client.frames.filter(({ first }) => first === 0x81).map(({ payload }) => payload.toString())
  }
  t.same(await sent('/object'), Array(4).fill('{"a":1}'))
  t.same(await sent('/array'), ['[1]'])
  t.same(await sent('/string'), ['"a"', '"1970-01-01T00:00:00.000Z"'])
  t.same(await sent('/number'), ['1.5'])
  t.same(await sent('/integer'), ['1'])
  t.same(await sent('/boolean'), ['true'])
  t.same(await sent('/null'), ['null'])
  t.same(await sent('/string,number'), ['"a"', '"1970-01-01T00:00:00.000Z"', '1.5'])
  t.same(await sent('/object,null'), [...Array(4).fill('{"a":1}'), 'null'])
  t.same(await sent('/nullable'), ['null', '5'])
  t.same(await sent('/throws'), [])
})

t.test('without a schema sendMessage sends text as text, binary data as such, and JSON', async (t) => {
  const bytes = Buffer.from([1, 2, 3])
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      onConnection (conn) {
        for (const value of ['text', bytes, new Uint16Array([1]), bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 3), { a: [1] }, null, 5, false]) conn.sendMessage(value)
        const circular: Record<string, unknown> = {}
        circular.self = circular
        for (const value of [undefined, () => {}, Symbol('s'), 1n, circular]) t.throws(() => conn.sendMessage(value), { code: 'FST_ERR_WS_SEND_INVALID' })
      }
    })
  })
  const client = await openRaw(t, port)
  t.same((await client.untilFrames(8)).map(({ first, payload }) => [first, first === 0x82 ? [...payload] : payload.toString()]), [
    [0x81, 'text'], [0x82, [1, 2, 3]], [0x82, [1, 0]], [0x82, [1, 2, 3]], [0x81, '{"a":[1]}'], [0x81, 'null'], [0x81, '5'], [0x81, 'false']
  ])
})

t.test('send takes binary data if its content says so, and nothing else if there is no JSON', async (t) => {
  const { port } = await startApp(t, (app) => {
    const octets = { 'application/octet-stream': {} }
    app.websocketRoute('/both', {
      schema: { send: { content: { 'application/json': { schema: { type: 'object', properties: { a: { type: 'integer' } } } }, ...octets } } },
      onConnection (conn) { conn.sendMessage(Buffer.from('b')); conn.sendMessage({ a: '1' }) }
    })
    app.websocketRoute('/binary', {
      schema: { send: { content: octets } },
      onConnection (conn) {
        t.throws(() => conn.sendMessage({ a: 1 } as never), { message: 'The message cannot be serialised on the route "/binary": only binary messages are sent here, got { a: 1 }' })
        conn.sendMessage(Buffer.from('b'))
      }
    })
  })
  t.same((await (await openRaw(t, port, '/both')).untilFrames(2)).map(({ first, payload }) => [first, payload.toString()]), [[0x82, 'b'], [0x81, '{"a":1}']])
  t.equal((await (await openRaw(t, port, '/binary')).untilFrames(1))[0]?.first, 0x82)
})

t.test('sendMessage after the close does nothing and returns false', async (t) => {
  const done = deferred()
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/', {
      async onConnection (conn) {
        conn.close(1000)
        t.equal(conn.sendMessage('late'), false)
        await once(conn, 'close')
        t.equal(conn.sendMessage('later'), false)
        done.resolve()
      }
    })
  })
  const client = await openRaw(t, port)
  await client.untilClose()
  client.write(closeFrame(1000))
  await done.promise
  t.equal(client.frames.length, 1)
})

// ---- schemas that cannot be used ------------------------------------------------------------------------------------------

t.test('a schema that cannot be compiled stops the start, and says which one', async (t) => {
  const typebox = Fastify().withTypeProvider<TypeBoxTypeProvider>()
  t.teardown(() => typebox.close())
  for (const [schema, message] of [
    [{ receive: { type: 'nonsense' } }, /^schema\.receive of the WebSocket route "\/r" cannot be compiled: .*must be equal to one of the allowed values/],
    [{ receive: { $ref: 'missing#' } }, /^schema\.receive .*missing/],
    [{ receive: { $async: true, type: 'object' } }, /^schema\.receive .*"\$async" schemas/],
    [{ send: { $ref: 'missing#' } }, /^schema\.send of .*missing/],
    [{ receive: { content: {} } }, /^schema\.receive .*"content" has "application\/json" for text/],
    [{ send: { content: { 'text/html': {} } } }, /^schema\.send .*got 'text\/html'/],
    [{ receive: { content: { 'application/json': {} } } }, /content\["application\/json"\] has no "schema"/]
  ] as const) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(websocket)
    app.websocketRoute('/r', { schema, onMessage () {} })
    await t.rejects(Promise.resolve(app.ready()), { code: 'FST_ERR_WS_MESSAGE_SCHEMA', message })
  }
})

// eslint-disable-next-line no-throw-literal -- that is what is tested
const throwText = (): never => { throw 'no such thing' as unknown as Error }

t.test('what a compiler throws need not be an Error', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket)
  app.websocketRoute('/r', { schema: { receive: {} }, validatorCompiler: throwText, onMessage () {} })
  await t.rejects(Promise.resolve(app.ready()), { code: 'FST_ERR_WS_MESSAGE_SCHEMA', message: /cannot be compiled: no such thing$/ })
})

t.test('schemas for messages need nothing else on the route or the instance to be compiled', async (t) => {
  const { answer } = await startEcho(t, { receive: { type: 'object', properties: { n: { type: 'integer' } } }, send: { type: 'string' } })
  t.equal(await answer('{"n":"1"}'), '{"n":1}')
})

t.test('a union whose first member names no property, and a schema that is none of an object, are left to the validator', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.websocketRoute('/union', {
      schema: { receive: { anyOf: [{ type: 'object', required: ['a'] }, { type: 'object', properties: { k: { const: 'b' } } }] } },
      onMessage (conn) { conn.send('taken') }
    })
    app.websocketRoute('/any', { schema: { receive: true as unknown as object }, onMessage (conn) { conn.send('taken') } })
  })
  for (const path of ['/union', '/any']) {
    const client = await openRaw(t, port, path)
    client.write(textFrame('{"a":1}'))
    t.equal((await client.untilFrames(1))[0]?.payload.toString(), 'taken')
  }
})
