// Events and their arguments, by on() and by addEventListener().
import { on, once } from 'node:events'
import { closeFrame, maskedFrame, type RawClient, textFrame } from '../../support/raw.ts'
import { noteEvents, type Note, type Scene } from '../side-by-side.ts'

const EMPTY = Buffer.alloc(0)
const CODES = [1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]

const notesAll = (socket: Parameters<Scene['server']>[0], note: Note): void => noteEvents(socket, note)

function ends (end: (client: RawClient) => unknown): Scene {
  return { server: notesAll, client: end }
}

interface EventSeen { type: string, data?: unknown, code?: number, reason?: string, wasClean?: boolean, message?: string, error?: unknown, target: unknown }

function noteEvent (note: Note, name: string): (event: unknown) => void {
  return (event) => {
    const { type, data, code, reason, wasClean, error, target } = event as EventSeen
    note(name, Object.prototype.toString.call(event), type, data, code, reason, wasClean, error, target)
  }
}

const closes = Object.fromEntries([...CODES.map((code) => [`a close of the peer with ${code}`, closeFrame(code, 'bye €')] as const), ['a close of the peer without a code', maskedFrame(0x88, EMPTY)] as const]
  .map(([name, frame]) => [name, ends((client) => client.write(frame))]))

export const events: Record<string, Scene> = {
  ...closes,
  'text and binary messages': {
    server: notesAll,
    client (client) {
      for (const payload of [EMPTY, Buffer.from('a€'), Buffer.alloc(126, 'x'), Buffer.alloc(70_000, 'y')]) {
        client.write(Buffer.concat([maskedFrame(0x81, payload), maskedFrame(0x82, payload)]))
      }
      client.write(closeFrame(1000))
    }
  },
  'fragments, and control frames between them': {
    server: notesAll,
    async client (client) {
      client.write(Buffer.concat([maskedFrame(0x01, Buffer.from('on')), maskedFrame(0x89, Buffer.from('ping')), maskedFrame(0x00, Buffer.from('e ')), maskedFrame(0x8a, Buffer.from('pong')), maskedFrame(0x80, EMPTY)]))
      await client.untilFrames(1)
      client.write(Buffer.concat([maskedFrame(0x02, EMPTY), maskedFrame(0x80, Buffer.from('two')), closeFrame(1000)]))
    }
  },
  'the order of many frames in one chunk': {
    server: notesAll,
    client (client) {
      const frames = Array.from({ length: 50 }, (_, i) => i % 5 === 0 ? maskedFrame(0x8a, Buffer.from(`${i}`)) : textFrame(`${i}`))
      client.write(Buffer.concat([...frames, closeFrame(1000)]))
    }
  },
  'a pong for each ping': {
    server: notesAll,
    async client (client) {
      client.write(Buffer.concat([maskedFrame(0x89, Buffer.from('1')), maskedFrame(0x89, Buffer.from('2')), maskedFrame(0x89, Buffer.alloc(125, '3'))]))
      await client.untilFrames(1)
      client.write(closeFrame(1000))
    }
  },
  'an end without a close frame': ends((client) => client.socket.end()),
  'an end in the middle of a frame': ends((client) => client.socket.end(textFrame('half').subarray(0, 4))),
  'an end after messages': ends((client) => client.socket.end(Buffer.concat([textFrame('1'), textFrame('2')]))),
  'what comes after a close frame': ends((client) => client.write(Buffer.concat([closeFrame(1000), textFrame('late')]))),
  'once() and on() of node:events': {
    async server (socket, note) {
      note(await once(socket, 'message'))
      for await (const message of on(socket, 'message', { close: ['close'] })) note(message)
      note('ended')
    },
    async client (client) {
      for (const text of ['1', '2', '3']) client.write(textFrame(text))
      client.write(closeFrame(1000))
    }
  },
  'addEventListener: what an event has': {
    server (socket, note) {
      for (const type of ['open', 'message', 'error', 'close', 'ping']) socket.addEventListener(type as 'message', noteEvent(note, 'listener'))
      note(socket.listenerCount('message'), socket.listenerCount('ping'))
    },
    client: (client) => client.write(Buffer.concat([textFrame('text'), maskedFrame(0x82, Buffer.from('binary')), maskedFrame(0x89, EMPTY), closeFrame(4000, 'why')]))
  },
  'addEventListener: an error': {
    server (socket, note) {
      for (const type of ['error', 'close']) socket.addEventListener(type as 'message', noteEvent(note, 'listener'))
    },
    client: (client) => client.write(maskedFrame(0xf1, EMPTY))
  },
  'addEventListener: once, objects, the same one twice': {
    server (socket, note) {
      const listener = noteEvent(note, 'twice')
      socket.addEventListener('message', noteEvent(note, 'once'), { once: true })
      socket.addEventListener('message', listener)
      socket.addEventListener('message', listener)
      const object = { name: 'object', handleEvent (this: { name: string }, event: { data: unknown }) { note(this.name, event.data) } }
      socket.addEventListener('message', object as unknown as () => void)
      socket.addEventListener('message', function (this: unknown) { note('this', this) })
      note(socket.listenerCount('message'))
    },
    client: (client) => client.write(Buffer.concat([textFrame('1'), textFrame('2'), closeFrame(1000)]))
  },
  removeEventListener: {
    server (socket, note) {
      const listener = noteEvent(note, 'removed')
      socket.addEventListener('message', listener)
      socket.addEventListener('message', listener, { once: true })
      socket.removeEventListener('message', listener)
      socket.removeEventListener('message', () => {})
      socket.addEventListener('message', listener, { once: true })
      socket.removeEventListener('message', listener)
      note(socket.listenerCount('message'))
    },
    client: (client) => client.write(Buffer.concat([textFrame('1'), closeFrame(1000)]))
  },
  'onmessage, onclose, onerror, onopen': {
    server (socket, note) {
      const listener = noteEvent(note, 'first')
      socket.onmessage = listener
      note(socket.onmessage === listener, socket.listenerCount('message'))
      socket.onmessage = noteEvent(note, 'second')
      socket.onclose = noteEvent(note, 'closed')
      socket.onerror = noteEvent(note, 'error')
      socket.onopen = noteEvent(note, 'open')
      note(socket.listenerCount('message'), socket.listenerCount('open'), socket.listenerCount('error'))
      socket.onopen = null
      note(socket.onopen, socket.listenerCount('open'))
      socket.removeEventListener('message', socket.onmessage)
      note(socket.listenerCount('message'))
    },
    client: (client) => client.write(Buffer.concat([textFrame('1'), textFrame('2'), closeFrame(1000)]))
  }
}
