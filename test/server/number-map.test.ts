// A map by numbers that go up, as the connections of a server come and go.
import t from 'tap'
import { NumberMap } from '../../lib/number-map.ts'

function mapOf (...keys: number[]): NumberMap<string> {
  const map = new NumberMap<string>()
  for (const key of keys) map.set(key, String(key))
  return map
}

t.test('it has what was set, until that is deleted', async (t) => {
  const map = mapOf(1, 15, 16, 17, 4_000_000_000)
  t.same([...map], ['1', '15', '16', '17', '4000000000'])
  t.equal(map.size, 5)
  t.equal(map.get(4_000_000_000), '4000000000')
  map.set(16, 'other')
  t.equal(map.size, 5)
  t.equal(map.get(16), 'other')
  for (const key of [16, 16, 2, 1000]) map.delete(key)
  t.equal(map.size, 4)
  t.equal(map.get(16), undefined)
  t.same([...map], ['1', '15', '17', '4000000000'])
  for (const key of [1, 15, 17, 4_000_000_000]) map.delete(key)
  t.equal(map.size, 0)
  t.same([...map], [])
})

t.test('what is no number that was set is not there', async (t) => {
  const map = mapOf(0, 3)
  for (const key of [-1, 1.5, NaN, Infinity, '3', undefined, null, {}]) t.equal(map.get(key as number), undefined, String(key))
})

t.test('while it is looped over, what is deleted does not come, and what is added behind does', async (t) => {
  const map = mapOf(1, 2, 16, 40)
  const seen: string[] = []
  for (const item of map) {
    seen.push(item)
    if (item === '1') map.delete(2)
    if (item === '16') map.delete(16)
    if (item === '16') map.delete(40)
    if (item === '16') map.set(100, '100')
  }
  t.same(seen, ['1', '16', '100'])
})

t.test('a thousand that come and go leave it as it was', async (t) => {
  const map = mapOf(1)
  for (let key = 2; key < 1000; key++) {
    map.set(key, String(key))
    if (key > 10) map.delete(key - 8)
  }
  t.same([...map], ['1', '2', '992', '993', '994', '995', '996', '997', '998', '999'])
})
