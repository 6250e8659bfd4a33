// send(), ping() and pong(): what may be sent, with which options, and when callbacks run.
import { once } from 'node:events'
import type { WebSocket } from 'ws'
import { deferred } from '../../support/deferred.ts'
import { closeFrame, type RawClient } from '../../support/raw.ts'
import { attempt, noteEvents, type Note, type Scene } from '../side-by-side.ts'

type Method = 'send' | 'ping' | 'pong'
type AnyMethod = (...args: unknown[]) => unknown

const DEFLATE = { 'Sec-WebSocket-Extensions': 'permessage-deflate' }

const data: Record<string, unknown> = {
  'a string': 'text €',
  'an empty string': '',
  'a Buffer': Buffer.from('bytes'),
  'a Uint8Array': new Uint8Array([97, 98, 99]),
  'a part of a buffer': new Uint8Array(new Uint8Array([120, 97, 98, 120]).buffer, 1, 2),
  'a Uint16Array': new Uint16Array([0x6161, 0x6262]),
  'a DataView': new DataView(new Uint8Array([97, 98]).buffer),
  'an ArrayBuffer': new Uint8Array([97, 98]).buffer,
  'a Blob': new Blob(['blob']),
  'a number': 42,
  zero: 0,
  'an array of bytes': [97, 98],
  null: null,
  undefined,
  false: false,
  true: true,
  'an object': { a: 1 },
  'a Date': new Date(97),
  '130 bytes': 'x'.repeat(130),
  '5 000 bytes': Buffer.alloc(5000, 'y'),
  '100 000 bytes': 'z'.repeat(100_000)
}

// Looks for the last message as it is, so no scene compresses it.
async function closes (client: RawClient): Promise<void> {
  await client.until(() => client.frames.some(({ payload }) => payload.toString() === 'the end'))
  client.write(closeFrame(1000))
}

/** Calls a method in this way, then sends the last message. */
function calls (method: Method, ...args: unknown[]): Scene {
  return {
    server (socket, note) {
      noteEvents(socket, note, 'error', 'close')
      attempt(note, method, () => (socket[method] as AnyMethod).apply(socket, args.map((arg) => typeof arg === 'function' ? (...given: unknown[]) => note('callback', given.length, ...given) : arg)))
      socket.send('the end')
    },
    client: closes
  }
}

function afterClose (state: 'CLOSING' | 'CLOSED', method: Method, ...args: unknown[]): Scene {
  return {
    async server (socket, note) {
      socket.close()
      if (state === 'CLOSED') await once(socket, 'close')
      const { bufferedAmount } = socket
      const called = deferred()
      const isTaken = attempt(note, method, () => (socket[method] as AnyMethod)(...args, (error: unknown) => { note('callback', error, String(error)); called.resolve() }))
      note('returned', socket.bufferedAmount - bufferedAmount)
      if (isTaken) await called.promise
    }
  }
}

const callback = (): void => {}

/** Every type of data, for a method. */
const everyType = (method: Method): Record<string, Scene> =>
  Object.fromEntries(Object.entries(data).map(([name, value]) => [`${method}() of ${name}`, calls(method, value, callback)]))

const options: Record<string, unknown> = {
  'binary: true': { binary: true },
  'binary: undefined': { binary: undefined },
  'compress: true': { compress: true },
  'fin: undefined': { fin: undefined },
  'no options': undefined,
  'options that are null': null,
  'options that are true': true
}

function noteOrder (socket: WebSocket, note: Note): void {
  note('sent', 1)
  socket.send('1', () => note('callback 1'))
  socket.ping('2', false, () => note('callback 2'))
  socket.send(Buffer.alloc(10_000), () => note('callback 3'))
  socket.pong('4', false, () => note('callback 4'))
  socket.send('5', { fin: false }, () => note('callback 5'))
  socket.send('6', { fin: true }, () => note('callback 6'))
  note('sent all')
  void Promise.resolve().then(() => note('microtask'))
  socket.send('the end', { compress: false })
}

export const sending: Record<string, Scene> = {
  ...everyType('send'),
  ...everyType('ping'),
  'pong() of a string': calls('pong', 'data', false, callback),
  'pong() of a number': calls('pong', 7, callback),
  ...Object.fromEntries(Object.entries(options).map(([name, value]) => [`send() with ${name}`, calls('send', 'text', value, callback)])),
  'send() of bytes as text': calls('send', Buffer.from('bytes'), { binary: false }),
  'send() with the callback in the place of options': calls('send', 'text', callback),
  'send() without arguments': calls('send'),
  'ping() without arguments': calls('ping'),
  'ping() with the callback first': calls('ping', callback),
  'ping() with the callback second': calls('ping', 'data', callback),
  'ping() with the callback third': calls('ping', 'data', undefined, callback),
  'pong() with the callback first': calls('pong', callback),
  'the order of frames and callbacks': { server: noteOrder, client: closes },
  'the order of frames and callbacks, with compression': { options: { perMessageDeflate: true }, headers: DEFLATE, server: noteOrder, client: closes },
  'a Blob between messages': {
    server (socket, note) {
      socket.send('1', () => note('1'))
      socket.send(new Blob(['2']), () => note('2'))
      socket.send('3', () => note('3'))
      socket.send('the end')
    },
    client: closes
  },
  'fragments of a message': {
    server (socket) {
      socket.send('one ', { fin: false })
      socket.send('two ', { fin: false })
      socket.ping()
      socket.send('three', { fin: true })
      socket.send('the end')
    },
    client: closes
  },
  'send() with compression': {
    options: { perMessageDeflate: { threshold: 0 } },
    headers: DEFLATE,
    server (socket) {
      socket.send('compressed compressed')
      socket.send('not compressed', { compress: false })
      socket.send('frag', { fin: false })
      socket.send('ment', { fin: true })
      socket.send('', {})
      socket.send('the end', { compress: false })
    },
    client: closes
  },
  'send() below the threshold of compression': {
    options: { perMessageDeflate: { threshold: 100 } },
    headers: DEFLATE,
    server (socket) {
      socket.send('short')
      socket.send('l'.repeat(100))
      socket.send('the end', { compress: false })
    },
    client: closes
  },
  'bufferedAmount while data is sent': {
    async server (socket, note) {
      for (const size of [0, 10, 5000]) {
        const sent = new Promise((resolve) => socket.send(Buffer.alloc(size), resolve))
        note(size, socket.bufferedAmount)
        await sent
        note('sent', socket.bufferedAmount)
      }
      socket.send('the end')
    },
    client: closes
  },
  ...Object.fromEntries((['CLOSING', 'CLOSED'] as const).flatMap((state) => [
    [`send() in ${state}`, afterClose(state, 'send', 'text')],
    [`send() of an object in ${state}`, afterClose(state, 'send', {})],
    [`ping() in ${state}`, afterClose(state, 'ping', 'data')],
    [`pong() in ${state}`, afterClose(state, 'pong', 'data')],
    [`ping() of too much in ${state}`, afterClose(state, 'ping', 'x'.repeat(126))]
  ]))
}
