// close() and terminate(), in each state.
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import type { WebSocket } from 'ws'
import { closeFrame, maskedFrame, type RawClient, textFrame } from '../../support/raw.ts'
import { attempt, noteEvents, type Note, type Scene } from '../side-by-side.ts'

type Close = (code?: unknown, reason?: unknown) => void

const GOOD_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
const BAD_CODES = [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_536, NaN, '1000', null, {}]

const closeOf = (socket: WebSocket): Close => socket.close.bind(socket) as Close

async function answers (client: RawClient): Promise<void> {
  const { code } = await client.untilClose()
  client.write(code === 1005 ? maskedFrame(0x88, Buffer.alloc(0)) : closeFrame(code))
}

/** Closes in this way, and notes what it returns or throws, and the states. */
function closesWith (...args: unknown[]): Scene {
  return {
    server (socket, note) {
      noteEvents(socket, note)
      attempt(note, 'close', () => closeOf(socket)(...args))
      note(socket.readyState)
      if (socket.readyState === 1) socket.close(4321)
    },
    client: answers
  }
}

/** Has closed or been closed, and then does something. */
function afterwards (state: 'CLOSING' | 'CLOSED', name: string, deed: (socket: WebSocket, note: Note) => unknown): Scene {
  return {
    async server (socket, note) {
      noteEvents(socket, note, 'error', 'close')
      socket.close(4000, 'first')
      if (state === 'CLOSED') await once(socket, 'close')
      note(socket.readyState, state)
      attempt(note, name, () => deed(socket, note))
      note(socket.readyState)
    },
    client: answers
  }
}

const reasons: Record<string, unknown> = {
  'a string': 'bye €',
  'a Buffer': Buffer.from('bye'),
  'a Uint8Array': new Uint8Array([97, 98]),
  'an empty string': '',
  '123 bytes': 'x'.repeat(123),
  '124 bytes': 'x'.repeat(124),
  '124 bytes in a Buffer': Buffer.alloc(124),
  '42 characters of three bytes': '€'.repeat(42),
  'no string': 5,
  null: null,
  'a Buffer that is not UTF-8': Buffer.from([0xff])
}

export const closing: Record<string, Scene> = {
  ...Object.fromEntries(GOOD_CODES.map((code) => [`close(${code})`, closesWith(code, 'bye')])),
  'close() with what is no code': {
    server (socket, note) {
      for (const code of BAD_CODES) attempt(note, `close(${JSON.stringify(code)})`, () => closeOf(socket)(code))
      note(socket.readyState)
    }
  },
  'close() with a code that is no whole number': closesWith(1000.5),
  'the code and the text of an error of close()': {
    server (socket, note) {
      try {
        socket.close(999)
      } catch (error) {
        note((error as { code?: unknown }).code, String(error))
      }
    }
  },
  ...Object.fromEntries(Object.entries(reasons).map(([name, reason]) => [`close() with a reason that is ${name}`, closesWith(1000, reason)])),
  'close() without a code': closesWith(),
  'close() with a reason and no code': closesWith(undefined, 'bye'),
  'close() in CLOSING': afterwards('CLOSING', 'close', (socket) => socket.close(4001)),
  'close() in CLOSING with what is no code': afterwards('CLOSING', 'close', (socket) => socket.close(1005, 'x'.repeat(200))),
  'close() in CLOSED': afterwards('CLOSED', 'close', (socket) => socket.close(4001)),
  'close() in CLOSED with what is no code': afterwards('CLOSED', 'close', (socket) => socket.close(1005, 'x'.repeat(200))),
  'terminate() in CLOSING': afterwards('CLOSING', 'terminate', (socket) => socket.terminate()),
  'terminate() in CLOSED': afterwards('CLOSED', 'terminate', (socket) => socket.terminate()),
  'pause() in CLOSED': afterwards('CLOSED', 'pause', (socket, note) => { socket.pause(); note(socket.isPaused); socket.resume(); note(socket.isPaused) }),
  'pause() in CLOSING': afterwards('CLOSING', 'pause', (socket, note) => { socket.pause(); note(socket.isPaused); socket.resume(); note(socket.isPaused) }),
  'terminate() in OPEN': {
    server (socket, note) {
      noteEvents(socket, note)
      socket.send('before')
      attempt(note, 'terminate', () => socket.terminate())
      note(socket.readyState)
    },
    client () {}
  },
  'terminate() and then close()': {
    server (socket, note) {
      noteEvents(socket, note)
      socket.terminate()
      attempt(note, 'close', () => socket.close())
      attempt(note, 'terminate', () => socket.terminate())
    },
    client () {}
  },
  'messages between close() and the close frame of the peer': {
    server (socket, note) {
      noteEvents(socket, note)
      socket.close(1000)
    },
    async client (client) {
      await client.untilClose()
      client.write(Buffer.concat([textFrame('late'), maskedFrame(0x89, Buffer.from('late')), maskedFrame(0x8a, Buffer.from('late')), closeFrame(1000)]))
    }
  },
  "close() in a listener for 'message'": {
    server (socket, note) {
      noteEvents(socket, note)
      socket.once('message', () => { socket.close(4000); note(socket.readyState) })
    },
    async client (client) {
      client.write(Buffer.concat([textFrame('1'), textFrame('2')]))
      await answers(client)
    }
  },
  "close() in a listener for 'close'": {
    server (socket, note) {
      socket.once('close', () => { attempt(note, 'close', () => socket.close(4000)); note(socket.readyState) })
      noteEvents(socket, note)
    },
    client: (client) => client.write(closeFrame(1000, 'bye'))
  },
  "terminate() in a listener for 'message'": {
    server (socket, note) {
      noteEvents(socket, note)
      socket.once('message', () => { socket.terminate(); note(socket.readyState) })
    },
    client: (client) => client.write(Buffer.concat([textFrame('1'), textFrame('2')]))
  },
  'both close at once': {
    server (socket, note) {
      noteEvents(socket, note)
      socket.once('message', () => socket.close(4000, 'server'))
    },
    client: (client) => client.write(Buffer.concat([textFrame('1'), closeFrame(4001, 'client')]))
  },
  'a close that is not answered': {
    options: { closeTimeout: 300 },
    server (socket, note) {
      noteEvents(socket, note)
      socket.close(1000)
    },
    client () {}
  },
  'a peer that closes, and does not end its side': {
    options: { closeTimeout: 300 },
    server: (socket, note) => noteEvents(socket, note),
    client (client) {
      client.socket.removeAllListeners('end')
      client.write(closeFrame(1000))
    }
  },
  'states while the peer closes': {
    async server (socket, note) {
      noteEvents(socket, note)
      await once(socket, 'message')
      for (const states = new Set<number>(); socket.readyState !== 3; await setImmediate()) {
        if (!states.has(socket.readyState)) note('state', socket.readyState)
        states.add(socket.readyState)
      }
    },
    async client (client) {
      client.write(Buffer.concat([textFrame('now'), closeFrame(1000)]))
    }
  }
}
