import { inspect } from 'node:util'
import { FST_ERR_WS_TOPIC } from '../errors.ts'

const MAX_BYTES = 255

/** @throws FST_ERR_WS_TOPIC */
export function checkTopic (topic: unknown): asserts topic is string {
  if (typeof topic !== 'string' || topic === '' || !isShortAndWhole(topic)) throw FST_ERR_WS_TOPIC(inspect(topic, { depth: 0, maxStringLength: 60 }))
}

// Half of a surrogate pair would become the same character as every other half.
function isShortAndWhole (topic: string): boolean {
  if (topic.length > MAX_BYTES) return false
  const bytes = Buffer.byteLength(topic)
  return bytes === topic.length || (bytes <= MAX_BYTES && Buffer.from(topic).toString() === topic)
}
