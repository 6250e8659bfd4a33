// How many are sent to before others have their turn.
import t from 'tap'
import { SliceSize } from '../../lib/topics/slice-size.ts'

const MOST = 50
const FEWEST = 10
const SLICE_TIME = 0.12

function after (...times: number[]): number {
  const pace = new SliceSize()
  for (const time of times) pace.note(time)
  return pace.size
}

t.test('a slice that took too long makes the next ones smaller, and one that took less larger', async (t) => {
  t.equal(after(), MOST)
  t.equal(after(SLICE_TIME), MOST)
  t.ok(after(SLICE_TIME * 1.2) < MOST)
  t.ok(after(SLICE_TIME * 1.2, SLICE_TIME / 1.1) > after(SLICE_TIME * 1.2))
})

t.test('one that was interrupted says little', async (t) => {
  t.ok(after(100) > MOST / 2)
  t.ok(after(0.3, 0.3, 0) < MOST / 1.2)
})

t.test('it stays within bounds', async (t) => {
  t.equal(after(...Array(100).fill(100)), FEWEST)
  t.equal(after(...Array(100).fill(100), ...Array(100).fill(0)), MOST)
})
