import { setImmediate } from '../timers.ts'
// One look, at the end of this turn of the event loop, at all who were busy in it. Most of them are ready again by then;
// to stop and to start reading for each message would cost more than many a handler (bench/messages.ts, async onMessage).

/** Something that may have to stop reading. */
export interface Busy {
  checkReading (): void
}

let due: Busy[] = []

export function checkReadingSoon (busy: Busy): void {
  if (due.push(busy) === 1) setImmediate(checkAll)
}

function checkAll (): void {
  const busy = due
  due = []
  for (const one of busy) one.checkReading()
}
