import { setImmediate } from '../timers.ts'
// What is sent to one peer within a turn of the event loop leaves at the end of that turn, in one write: a system call costs
// more than all the rest of a small message (bench/messages.ts, echo of 32 B with 16 in flight).

/** Something that holds back what it was given. */
export interface Corked {
  flush (): void
}

let waiting: Corked[] = []

/** Flushes it at the end of this turn. */
export function flushAtTurnEnd (corked: Corked): void {
  if (waiting.push(corked) === 1) setImmediate(endTurn)
}

/** Flushes all that waits. */
export function endTurn (): void {
  const corked = waiting
  waiting = []
  for (const each of corked) each.flush()
}

// A process that exits within a turn has sent what it has sent.
process.on('exit', endTurn)
