// pause() and resume(), what a peer does wrong, and streams.
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { deflateRawSync } from 'node:zlib'
import { createWebSocketStream } from 'ws'
import { closeFrame, frameHeader, maskedFrame, textFrame } from '../../support/raw.ts'
import { noteEvents, type Scene } from '../side-by-side.ts'

const EMPTY = Buffer.alloc(0)
const DEFLATE = { perMessageDeflate: true, headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } }

const deflated = (data: Buffer | string): Buffer => deflateRawSync(data, { finishFlush: 2 }).subarray(0, -4)

/** A peer that sends this, after a good message. */
function wrong (bytes: Buffer, options: Scene['options'] = {}, headers: Record<string, string> = {}): Scene {
  return {
    options,
    headers,
    server: (socket, note) => noteEvents(socket, note),
    client: (client) => client.write(Buffer.concat([textFrame('good'), bytes]))
  }
}

const wrongWithDeflate = (bytes: Buffer, options: Scene['options'] = {}): Scene => wrong(bytes, { ...options, perMessageDeflate: DEFLATE.perMessageDeflate }, DEFLATE.headers)

const mistakes: Record<string, Scene> = {
  'RSV1 without compression': wrong(maskedFrame(0xc1, Buffer.from('x'))),
  RSV2: wrong(maskedFrame(0xa1, EMPTY)),
  'an opcode that is reserved': wrong(maskedFrame(0x83, EMPTY)),
  'a control opcode that is reserved': wrong(maskedFrame(0x8b, EMPTY)),
  'a frame without a mask': wrong(Buffer.from([0x81, 1, 97])),
  'a control frame in fragments': wrong(maskedFrame(0x09, EMPTY)),
  'a control frame of 126 bytes': wrong(maskedFrame(0x89, Buffer.alloc(126))),
  'a continuation of nothing': wrong(maskedFrame(0x80, EMPTY)),
  'a message within a message': wrong(Buffer.concat([maskedFrame(0x01, EMPTY), textFrame('x')])),
  'text that is not UTF-8': wrong(maskedFrame(0x81, Buffer.from([0xff]))),
  'text that is not UTF-8, unchecked': wrong(Buffer.concat([maskedFrame(0x81, Buffer.from([0xff])), closeFrame(1000)]), { skipUTF8Validation: true }),
  'a close code that may not be sent': wrong(closeFrame(1006)),
  'a close frame of one byte': wrong(maskedFrame(0x88, Buffer.from([3]))),
  'a close reason that is not UTF-8': wrong(maskedFrame(0x88, Buffer.from([3, 232, 0xff]))),
  'a length that is negative': wrong(Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
  'a message that is too big': wrong(frameHeader(0x82, 1001), { maxPayload: 1000 }),
  'fragments that are too big': wrong(Buffer.concat([maskedFrame(0x02, Buffer.alloc(600)), maskedFrame(0x80, Buffer.alloc(600))]), { maxPayload: 1000 }),
  'a message of just maxPayload': wrong(Buffer.concat([maskedFrame(0x82, Buffer.alloc(1000)), closeFrame(1000)]), { maxPayload: 1000 }),
  'too many fragments': wrong(Buffer.concat([maskedFrame(0x01, EMPTY), maskedFrame(0x00, EMPTY), maskedFrame(0x00, EMPTY), maskedFrame(0x80, EMPTY)]), { maxFragments: 3 }),
  'a compressed message': wrongWithDeflate(Buffer.concat([maskedFrame(0xc1, deflated('compressed')), textFrame('plain'), maskedFrame(0x89, EMPTY), closeFrame(1000)])),
  'compressed fragments': wrongWithDeflate(Buffer.concat([
    maskedFrame(0x41, deflated('compressed').subarray(0, 4)), maskedFrame(0x80, deflated('compressed').subarray(4)), closeFrame(1000)
  ])),
  'data that cannot be inflated': wrongWithDeflate(maskedFrame(0xc1, Buffer.from([0xff, 0xff, 0xff, 0xff]))),
  'a message that is too big when inflated': wrongWithDeflate(maskedFrame(0xc2, deflated(Buffer.alloc(2000))), { maxPayload: 1000 }),
  'compressed text that is not UTF-8': wrongWithDeflate(maskedFrame(0xc1, deflated(Buffer.from([0xff])))),
  'RSV1 on a continuation': wrongWithDeflate(Buffer.concat([maskedFrame(0x41, deflated('x')), maskedFrame(0xc0, EMPTY)])),
  'RSV1 on a control frame': wrongWithDeflate(maskedFrame(0xc9, EMPTY)),
  'an error without a listener for it': { server: (socket, note) => { socket.on('error', () => {}); noteEvents(socket, note, 'close') }, client: (client) => client.write(maskedFrame(0xf1, EMPTY)) }
}

export const receiving: Record<string, Scene> = {
  ...mistakes,
  'pause() and resume()': {
    async server (socket, note) {
      noteEvents(socket, note)
      note(socket.pause(), socket.isPaused)
      socket.send('go')
      for (let i = 0; i < 20; i++) await setImmediate()
      note(socket.isPaused, socket.readyState)
      note(socket.resume(), socket.isPaused)
    },
    async client (client) {
      await client.untilFrames(1)
      client.write(Buffer.concat([textFrame('1'), textFrame('2'), closeFrame(1000)]))
    }
  },
  "pause() in a listener for 'message'": {
    async server (socket, note) {
      noteEvents(socket, note)
      socket.once('message', () => { socket.pause(); note(socket.isPaused) })
      await once(socket, 'message')
      socket.send('go')
      for (let i = 0; i < 20; i++) await setImmediate()
      note('resumed')
      socket.resume()
    },
    async client (client) {
      client.write(Buffer.concat([textFrame('1'), textFrame('of the same chunk')]))
      await client.untilFrames(1)
      client.write(Buffer.concat([textFrame('2'), closeFrame(1000)]))
    }
  },
  'close() while it is paused': {
    options: { closeTimeout: 300 },
    async server (socket, note) {
      noteEvents(socket, note)
      socket.pause()
      socket.close(1000)
      note(socket.isPaused, socket.readyState)
    },
    async client (client) {
      await client.untilClose()
      client.write(closeFrame(1000))
    }
  },
  'a peer that goes while it is paused': {
    async server (socket, note) {
      noteEvents(socket, note)
      socket.pause()
      socket.send('go')
      for (let i = 0; i < 20; i++) await setImmediate()
      note(socket.readyState)
      socket.resume()
    },
    async client (client) {
      await client.untilFrames(1)
      client.socket.end(textFrame('last'))
    }
  },
  'messages that come before anybody listens': {
    async server (socket, note) {
      socket.send('go')
      await once(socket, 'ping')
      noteEvents(socket, note)
      socket.send('go on')
    },
    async client (client) {
      await client.untilFrames(1)
      client.write(Buffer.concat([textFrame('early'), maskedFrame(0x89, EMPTY)]))
      await client.until(() => client.frames.filter(({ first }) => first === 0x81).length === 2)
      client.write(Buffer.concat([textFrame('late'), closeFrame(1000)]))
    }
  },
  'createWebSocketStream: an echo': {
    async server (socket, note) {
      const stream = createWebSocketStream(socket, { encoding: 'utf8' })
      stream.on('close', () => note('close', stream.destroyed))
      stream.on('data', (chunk: unknown) => { note('data', chunk); stream.write(chunk) })
      await once(stream, 'end')
      note('end')
      stream.end()
      await once(stream, 'close')
    },
    async client (client) {
      client.write(Buffer.concat([textFrame('1'), maskedFrame(0x82, Buffer.from('2'))]))
      await client.untilFrames(2)
      client.write(closeFrame(1000))
    }
  },
  'createWebSocketStream: end()': {
    async server (socket, note) {
      const stream = createWebSocketStream(socket)
      stream.on('close', () => note('close'))
      stream.end('last')
      stream.resume()
      await once(stream, 'close')
    },
    async client (client) {
      await client.untilClose()
      client.write(closeFrame(1005 - 5))
    }
  },
  'createWebSocketStream: destroy()': {
    async server (socket, note) {
      const stream = createWebSocketStream(socket)
      stream.on('close', () => note('close'))
      stream.on('error', (error) => note('error', error))
      stream.destroy(new Error('destroyed'))
      note(socket.readyState)
    },
    client () {}
  },
  'createWebSocketStream: an error of the peer': {
    async server (socket, note) {
      const stream = createWebSocketStream(socket)
      stream.on('error', (error) => note('error', error))
      stream.resume()
      await once(stream, 'close')
    },
    client: (client) => client.write(maskedFrame(0xf1, EMPTY))
  },
  'createWebSocketStream: objects': {
    async server (socket, note) {
      const stream = createWebSocketStream(socket, { readableObjectMode: true })
      for await (const chunk of stream) note(chunk)
      note('ended')
    },
    client: (client) => client.write(Buffer.concat([textFrame('text'), maskedFrame(0x82, Buffer.from('binary')), closeFrame(1000)]))
  }
}
