// What waits for the subscribers of a topic: in which order it leaves, how much of it in a turn, and how much may wait.
import t, { type Test } from 'tap'
import { RAW_MESSAGES } from '../../lib/messages/message-schemas.ts'
import { FramedMessage } from '../../lib/send/framed-message.ts'
import { backlog, inProgress } from '../../lib/topics/deliveries.ts'
import { catchUp, fanOut } from '../../lib/topics/fan-out.ts'
import { type Subscriber, type Topic, Topics } from '../../lib/topics/topics.ts'
import { eventually } from '../support/eventually.ts'

t.setTimeout(240_000)

const SLICE = 50
const MAX_DELIVERIES = 250_000
const MAX_BYTES = 4_194_304
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const allDone = (): Promise<void> => eventually(() => inProgress.length === 0)

class Member implements Subscriber {
  readonly readyState = 1
  readonly route = { messages: RAW_MESSAGES }
  readonly texts: string[] = []
  handle: ((text: string) => void) | null = null

  deliver ({ data }: FramedMessage): void {
    this.texts.push(data as string)
    this.handle?.(data as string)
  }
}

function start () {
  const topics = new Topics()
  return {
    topics,
    join (topic: string, count: number): Member[] {
      const members = Array.from({ length: count }, () => new Member())
      for (const member of members) topics.subscribe(member, topic)
      return members
    },
    publish (topic: string, text: string, { size = text.length, but = null as Member | null } = {}): void {
      const message = new FramedMessage(text)
      fanOut(topics.get(topic) as Topic, { size, for: (member) => member === but ? undefined : message })
    }
  }
}

function test (name: string, run: (t: Test, started: ReturnType<typeof start>) => unknown): void {
  void t.test(name, async (t) => {
    await run(t, start())
    await allDone()
    t.same(backlog, { deliveries: 0, bytes: 0 }, 'nothing is counted for good')
  })
}

const countAll = (members: readonly Member[]): number => members.reduce((sum, { texts }) => sum + texts.length, 0)

test('a few are sent to at once, and nothing is in progress then', async (t, { join, publish }) => {
  const members = join('few', SLICE)
  publish('few', '1', { but: members[3] as Member })
  t.equal(countAll(members), SLICE - 1)
  t.equal(inProgress.length, 0)
})

test('many small messages do not make a large one leave at once', async (t, { join, publish, topics }) => {
  const [many, few, own] = [join('many', 10_000), join('few', SLICE), join('own', 1)]
  topics.subscribe(many.at(-1) as Member, 'own')
  publish('many', 'large')
  for (let i = 0; i < 1_000; i++) for (const topic of ['few', 'own']) publish(topic, String(i))
  t.same([countAll(few), countAll(own)], [1_000 * SLICE, 1_000])
  t.equal(many.at(-1)?.texts.length, 1_001, 'the large one, and 1 000 of its own')
  t.ok(many.filter(({ texts }) => texts.length > 0).length <= SLICE + 1)
  t.equal(inProgress.length, 1, 'those that are done do not count')
})

test('many large messages leave in slices, as others do', async (t, { join, publish }) => {
  const topics = Array.from({ length: 40 }, (_, i) => `topic ${i}`)
  const members = topics.flatMap((topic) => join(topic, SLICE + 1))
  for (let i = 0; i < 10; i++) for (const topic of topics) publish(topic, `message ${i}`)
  let [most, last] = [0, 0]
  do {
    most = Math.max(most, countAll(members) - last)
    last = countAll(members)
    await turn()
  } while (inProgress.length > 0)
  t.equal(countAll(members), 10 * members.length)
  // One that gets ten messages costs as much as three that get one.
  t.ok(most <= 10 * (1 + SLICE / (1 + 9 / 4)), `${most} at most in a turn`)
  t.same(new Set(members.map(({ texts }) => texts.join())), new Set([Array.from({ length: 10 }, (_, i) => `message ${i}`).join()]))
})

test('one that is done goes from any place', async (t, { join, publish, topics }) => {
  join('first', 1_000)
  const second = join('second', SLICE + 1)
  const third = join('third', SLICE + 1)
  for (const topic of ['first', 'second', 'third']) publish(topic, topic)
  const names = (): string[] => inProgress.map(({ name }) => name)
  t.same(names(), ['first', 'second', 'third'])
  for (const member of second) catchUp(member)
  t.same(names(), ['first', 'third'])
  for (const member of third) topics.drop(member)
  t.same(names(), ['first'])
})

test('who is the last that a message is sent to gets those of other topics as well', (t, { join, publish, topics }) => {
  const [first, second] = [join('first', SLICE + 1), join('second', SLICE + 1)]
  const member = first.at(-1) as Member
  topics.subscribe(member, 'second')
  for (const topic of ['first', 'second']) publish(topic, topic)
  for (const other of first.slice(0, -1)) catchUp(other)
  t.equal(catchUp(member), 2)
  t.same(member.texts, ['first', 'second'])
  t.ok(countAll(second) <= SLICE)
})

test('over 250 000 deliveries, who publishes sends as many as are over', async (t, { join, publish }) => {
  const members = join('many', 1_000)
  let most = 0
  for (let i = 0; i < 1_000; i++) {
    const before = countAll(members)
    publish('many', 'x')
    t.ok(backlog.deliveries <= MAX_DELIVERIES, { diagnostic: false })
    if (i > 0 && i < 250) t.equal(countAll(members), before, { diagnostic: false })
    most = Math.max(most, countAll(members) - before)
  }
  t.ok(most <= 2 * members.length, `${most} at most in one call`)
})

test('a message for more than that leaves in slices all the same', async (t, { join, publish }) => {
  const members = join('all', MAX_DELIVERIES + 10_000)
  publish('all', 'x')
  t.ok(countAll(members) <= SLICE)
  await allDone()
  t.equal(countAll(members), members.length)
})

test('over 4 MiB, who publishes sends the oldest', async (t, { join, publish }) => {
  const [members, others, third] = [join('many', 200), join('others', 200), join('third', 200)]
  const size = MAX_BYTES / 4
  publish('many', '1', { size })
  for (const text of ['2', '3']) publish('others', text, { size })
  publish('many', '4', { size })
  t.ok(countAll(members) + countAll(others) <= SLICE)
  publish('others', '5', { size })
  t.ok(backlog.bytes <= MAX_BYTES)
  t.equal(members.every(({ texts }) => texts[0] === '1'), true)
  t.ok(countAll(others) <= 3, 'no more than was needed')
  publish('third', '6', { size: 2 * MAX_BYTES })
  t.same([backlog.bytes, inProgress.length], [2 * MAX_BYTES, 1], 'one that is larger waits alone')
  t.ok(countAll(third) < SLICE)
  await allDone()
  t.same(new Set(members.map(({ texts }) => texts.join())), new Set(['1,4']))
  t.same(new Set(others.map(({ texts }) => texts.join())), new Set(['2,3,5']))
})

test('who is sent to may publish, subscribe and leave', async (t, { join, publish, topics }) => {
  const members = join('many', 3 * SLICE)
  const [first, second, last] = [members[0], members[1], members.at(-1)] as [Member, Member, Member]
  first.handle = (text) => {
    if (text !== '1') return
    topics.subscribe(first, 'few')
    topics.subscribe(second, 'few')
    publish('few', '2')
    topics.drop(last)
    publish('many', '3')
  }
  second.handle = (text) => { if (text === '2') topics.unsubscribe(second, 'many') }
  publish('many', '1')
  await allDone()
  t.same([first.texts, second.texts, last.texts], [['1', '2', '3'], ['1', '2', '3'].slice(0, 2), []])
  t.same(new Set(members.slice(2, -1).map(({ texts }) => texts.join())), new Set(['1,3']))
})

test('whatever happens, everybody gets everything once and in the order of the calls', async (t, { join, publish, topics }) => {
  let seed = 7
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor(seed / 2 ** 31 * below)
  }
  const names = Array.from({ length: 12 }, (_, i) => `topic ${i}`)
  const members = names.flatMap((name) => join(name, 60))
  const expected = new Map(members.map((member): [Member, string[]] => [member, []]))
  const dropped = new Set<Member>()
  let count = 0
  for (let step = 0; step < 3_000; step++) {
    const member = members[random(members.length)] as Member
    const name = names[random(names.length)] as string
    const topic = topics.get(name) as Topic
    switch (random(dropped.size < 50 ? 8 : 7)) {
      case 0:
        if (!dropped.has(member)) topics.subscribe(member, name)
        break
      case 1:
        catchUp(member)
        topics.unsubscribe(member, name)
        break
      case 2:
        if (dropped.has(member)) break
        catchUp(member)
        member.texts.push(`own ${step}`)
        expected.get(member)?.push(`own ${step}`)
        break
      case 3:
        await turn()
        break
      case 7:
        dropped.add(member)
        topics.drop(member)
        break
      default: {
        const but = random(3) === 0 ? member : null
        for (const subscriber of topic.members.keys() as Iterable<Member>) if (subscriber !== but) expected.get(subscriber)?.push(`${++count && step}`)
        publish(name, String(step), { but })
      }
    }
  }
  await allDone()
  t.ok(count > 10_000, `${count} deliveries`)
  t.same(members.filter((member) => !dropped.has(member) && member.texts.join() !== expected.get(member)?.join()), [])
  for (const member of dropped) t.same(member.texts, expected.get(member)?.slice(0, member.texts.length), { diagnostic: false })
})
