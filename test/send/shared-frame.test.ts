import t from 'tap'
import { SharedFrame } from '../../lib/send/shared-frame.ts'

t.test('is joined with the first that follows it, and with no other', async (t) => {
  const [a, b, c] = ['a', 'b', 'c'].map((text) => new SharedFrame(Buffer.from(text))) as [SharedFrame, SharedFrame, SharedFrame]
  const joined = a.join(b)
  t.equal(String(joined?.bytes), 'ab')
  t.equal(a.join(b), joined, 'made once')
  t.equal(a.join(c), null)
  t.equal(String(joined?.join(c)?.bytes), 'abc')
})

t.test('a burst is not copied over and over again', async (t) => {
  let copied = 0
  let last = new SharedFrame(Buffer.alloc(34))
  for (let i = 1; i < 1000; i++) {
    const next = new SharedFrame(Buffer.alloc(34))
    const joined = last.join(next)
    copied += joined === null ? 0 : joined.bytes.length
    last = joined ?? next
  }
  t.ok(copied < 1000 * 2048, `${copied} bytes`)
})
