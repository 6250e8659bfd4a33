// The frames of a peer, whatever the chunks that they come in.
import t from 'tap'
import { FrameScanner } from '../../lib/receive/frame-scanner.ts'
import { closeFrame, maskedFrame, textFrame } from '../support/raw.ts'

const frames = [
  textFrame('a'), maskedFrame(0x81, Buffer.alloc(0)), maskedFrame(0x82, Buffer.alloc(126)), maskedFrame(0x82, Buffer.alloc(70_000)),
  maskedFrame(0x01, Buffer.from('b')), maskedFrame(0x89, Buffer.from('ping')), maskedFrame(0x00, Buffer.alloc(0)), maskedFrame(0x80, Buffer.from('c')),
  maskedFrame(0x8a, Buffer.from('pong')), closeFrame(1000, 'bye'), textFrame('no frame any more')
]
const bytes = Buffer.concat(frames)
const ends = [0, 1, 2, 3, 7].map((last) => Buffer.concat(frames.slice(0, last + 1)).length)
const closeEnd = Buffer.concat(frames.slice(0, 10)).length

for (const size of [1, 2, 5, 13, 1000, Infinity]) {
  t.test(`finds the ends of messages, and the close frame, in chunks of ${size} bytes`, async (t) => {
    const scanner = new FrameScanner()
    const found: number[] = []
    let closedAt = 0
    for (let start = 0; start < bytes.length; start += size) {
      const chunk = bytes.subarray(start, start + size)
      for (let at = 0; at < chunk.length;) {
        at = scanner.scan(chunk, at)
        if (scanner.isAtMessageEnd) found.push(start + at)
      }
      // Seven messages, pings and pongs come before it.
      if (closedAt === 0) {
        for (let i = 0; i < 7; i++) scanner.noteHandled()
        if (scanner.takeClose()) closedAt = start + chunk.length
        for (let i = 0; i < 7; i++) scanner.noteHandled()
      }
    }
    t.same(found, ends)
    t.ok(closedAt >= closeEnd && closedAt < closeEnd + Math.min(size, bytes.length), `${closedAt}`)
    t.equal(scanner.takeClose(), false, 'only once')
  })
}

t.test('the close frame is not what ws is at before it has told of all that came before', async (t) => {
  const scanner = new FrameScanner()
  const chunk = Buffer.concat([textFrame('a'), maskedFrame(0x89, Buffer.alloc(0)), closeFrame(1000)])
  for (let at = 0; at < chunk.length;) at = scanner.scan(chunk, at)
  t.equal(scanner.takeClose(), false)
  scanner.noteHandled()
  t.equal(scanner.takeClose(), false)
  scanner.noteHandled()
  t.equal(scanner.takeClose(), true)
})
