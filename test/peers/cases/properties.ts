// Properties and constants.
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import { closeFrame, maskedFrame, textFrame } from '../../support/raw.ts'
import { attempt, noteEvents, type Scene } from '../side-by-side.ts'

const CONSTANTS = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'] as const
const DEFLATE = { 'Sec-WebSocket-Extensions': 'permessage-deflate' }
const READ_ONLY = ['readyState', 'protocol', 'extensions', 'url', 'bufferedAmount', 'isPaused', 'OPEN'] as const

// Public code uses the socket below, although ws does not document it.
const netSocketOf = (socket: WebSocket): Socket => (socket as unknown as { _socket: Socket })._socket

const SHOWN = [...READ_ONLY, 'binaryType'] as const

function noteNetSocket (socket: WebSocket, note: (...values: unknown[]) => void): void {
  const net = netSocketOf(socket)
  note(net.remoteAddress, net.remoteFamily, typeof net.remotePort, net.localAddress, typeof net.localPort)
  note(net.destroyed, net.writable, net.readable, net.pending, net.connecting, net.readyState, net.timeout)
  note(net.bytesRead > 0, net.bytesWritten > 0, typeof net.writableLength, net.writableHighWaterMark > 0)
  attempt(note, 'setKeepAlive', () => net.setKeepAlive(true, 1000) === net)
  attempt(note, 'setNoDelay', () => net.setNoDelay(true) === net)
  attempt(note, 'setTimeout', () => net.setTimeout(0) === net)
  attempt(note, 'ref', () => net.ref() === net)
  attempt(note, 'address', () => Object.keys(net.address()))
}

export const properties: Record<string, Scene> = {
  'constants of the instance and of the class': {
    server (socket, note) {
      for (const name of CONSTANTS) note(name, socket[name], (socket.constructor as typeof WebSocket)[name])
    }
  },
  'what it is': {
    server (socket, note) {
      note(socket instanceof WebSocket, socket instanceof EventEmitter, String(socket), typeof socket)
      const names = []
      for (const name in socket) if (/^on[a-z]{3,}$/.test(name) || SHOWN.includes(name as typeof SHOWN[number])) names.push(name)
      note(names.toSorted())
    }
  },
  'properties when it opens': {
    server (socket, note) {
      note(socket.readyState, socket.url, socket.protocol, socket.extensions, socket.binaryType, socket.bufferedAmount, socket.isPaused)
      note(socket.onopen, socket.onclose, socket.onerror, socket.onmessage)
    }
  },
  'properties when it has closed': {
    async server (socket, note) {
      await EventEmitter.once(socket, 'close')
      note(socket.readyState, socket.url, socket.protocol, socket.extensions, socket.binaryType, socket.bufferedAmount, socket.isPaused)
    }
  },
  'the listeners that it has, and the events': {
    server (socket, note) {
      note(socket.eventNames(), socket.listenerCount('message'), socket.listeners('close'), socket.rawListeners('error'), socket.getMaxListeners())
      const listener = (): void => {}
      note(socket.on('message', listener) === socket, socket.addListener('ping', listener) === socket, socket.prependListener('pong', listener) === socket)
      note(socket.once('close', listener) === socket, socket.prependOnceListener('error', listener) === socket)
      note(socket.eventNames(), socket.listeners('close').length, socket.listeners('message')[0] === listener)
      note(socket.off('message', listener) === socket, socket.removeListener('ping', listener) === socket, socket.removeAllListeners() === socket, socket.eventNames())
    }
  },
  'newListener and removeListener': {
    server (socket, note) {
      const listener = (): void => {}
      socket.on('newListener' as 'open', ((name: string, given: unknown) => note('new', name, given === listener)) as () => void)
      socket.on('removeListener' as 'open', ((name: string, given: unknown) => note('removed', name, given === listener)) as () => void)
      socket.on('message', listener)
      socket.once('message', listener)
      socket.off('message', listener)
      socket.off('message', listener)
      note(socket.eventNames())
    }
  },
  'an event of the application': {
    server (socket, note) {
      note(socket.emit('own'))
      socket.on('own' as 'open', ((...args: unknown[]) => note('own', ...args)) as () => void)
      note(socket.emit('own', 1, 'two'))
    }
  },
  'assignments to what is read-only': {
    server (socket, note) {
      for (const name of READ_ONLY) attempt(note, name, () => { (socket as unknown as Record<string, unknown>)[name] = 3; return socket[name] })
    }
  },
  'the protocol that was chosen': {
    protocol: 'chat',
    server: (socket, note) => note(socket.protocol)
  },
  'the extension that was agreed on': {
    options: { perMessageDeflate: true },
    headers: DEFLATE,
    server: (socket, note) => note(socket.extensions)
  },
  'an extension that the server does not have': {
    headers: DEFLATE,
    server: (socket, note) => note(socket.extensions)
  },
  binaryType: {
    server (socket, note) {
      noteEvents(socket, note, 'message')
      const types = ['arraybuffer', 'fragments', 'blob', 'nodebuffer', 'no type of data'] as const
      socket.on('ping', () => {
        (socket.binaryType as string) = types[socket.listenerCount('ping') - 1] ?? ''
        note(socket.binaryType)
        socket.on('ping', () => {})
      })
    },
    client (client) {
      for (let i = 0; i < 5; i++) {
        client.write(Buffer.concat([maskedFrame(0x89, Buffer.alloc(0)), maskedFrame(0x82, Buffer.from('data')), maskedFrame(0x02, Buffer.from('da')), maskedFrame(0x80, Buffer.from('ta')), textFrame('text')]))
      }
      client.write(closeFrame(1000))
    }
  },
  'the socket below': { server: (socket, note) => noteNetSocket(socket, note) },
  'the socket below, with compression': { options: { perMessageDeflate: true }, headers: DEFLATE, server: (socket, note) => noteNetSocket(socket, note) }
}
