// What this package schedules by. Fake timers (Jest's, vitest's, sinon's) replace the globals while a test runs, and some of them
// the functions of node:timers and process.nextTick() as well: these are the ones that were there when the package was loaded.
import * as timers from 'node:timers'

export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = timers
export const { nextTick } = process

/** Milliseconds of a clock that only goes forward. */
export const now: () => number = performance.now.bind(performance)
