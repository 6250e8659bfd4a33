// What is sent to one peer within a turn of the event loop leaves at the end of that turn, in one write: a system call costs
// more than all the rest of a small message (bench/messages.ts, echo of 32 B with 16 in flight).
import { setImmediate } from '../timers.ts'
import type { Batch } from './batch.ts'

let waiting: Batch[] = []

/** Flushes a batch at the end of this turn. */
export function flushAtTurnEnd (batch: Batch): void {
  if (waiting.push(batch) === 1) setImmediate(endTurn)
}

/** Flushes all batches that wait. */
export function endTurn (): void {
  const batches = waiting
  waiting = []
  for (const batch of batches) batch.flush()
}

// A process that exits within a turn has sent what it has sent.
process.on('exit', endTurn)
