// How any options are checked.
import { inspect } from 'node:util'
import { FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_OPTION_UNKNOWN } from '../errors.ts'

export type Check = readonly [description: string, isValid: (value: unknown) => boolean]

/** What each of some options may be. */
export type Checks<Options> = Readonly<Record<keyof Options, Check>>

/** What setTimeout() takes, and ws, which makes 32-bit numbers of some of its options. */
export const MAX_INT32: number = 2 ** 31 - 1

export const isPositiveInteger = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) > 0
export const isPositiveIntegerOrInfinity = (value: unknown): boolean => value === Infinity || isPositiveInteger(value)
export const isPositiveInt32 = (value: unknown): boolean => isPositiveInteger(value) && Number(value) <= MAX_INT32
export const isString = (value: unknown): boolean => typeof value === 'string'
export const isBoolean = (value: unknown): boolean => typeof value === 'boolean'
export const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
export const isFunction = (value: unknown): boolean => typeof value === 'function'

/**
 * Checks options of which all are known; `path` is what they are in.
 *
 * @throws FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_OPTION_INVALID
 */
export function checkAll<Options extends object> (options: unknown, checks: Checks<Options>, path = ''): asserts options is Options {
  if (!isObject(options)) throw FST_ERR_WS_OPTION_INVALID('options', 'an object', inspect(options))
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(checks, name)) throw FST_ERR_WS_OPTION_UNKNOWN(path + name, '', suggestion(name, Object.keys(checks)))
  }
  checkValues(options, checks, path)
}

/** @throws FST_ERR_WS_OPTION_INVALID */
export function checkValues (options: object, checks: Checks<Record<string, unknown>>, path = ''): void {
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (check === undefined || value === undefined) continue
    const [description, isValid] = check
    if (!isValid(value)) throw FST_ERR_WS_OPTION_INVALID(path + name, description, inspect(value))
  }
}

/** What an unknown name was probably meant to be; '' if it is like none. */
export function suggestion (name: string, known: readonly string[]): string {
  const nearest = known.find((candidate) => isMisspelling(name.toLowerCase(), candidate.toLowerCase()))
  return nearest === undefined ? '' : `: did you mean "${nearest}"?`
}

// A letter too many, too few or wrong, or two of them swapped; in a longer name that may have happened twice.
function isMisspelling (name: string, candidate: string, mistakes: number = candidate.length < 8 ? 1 : 2): boolean {
  let start = 0
  while (start < name.length && name[start] === candidate[start]) start++
  const [given, wanted] = [name.slice(start), candidate.slice(start)]
  if (given === wanted || mistakes === 0) return given === wanted
  const isSwapped = given[0] === wanted[1] && given[1] === wanted[0]
  const goOn = (skipped: number, left: number): boolean => isMisspelling(given.slice(skipped), wanted.slice(left), mistakes - 1)
  return goOn(1, 1) || goOn(0, 1) || goOn(1, 0) || (isSwapped && goOn(2, 2))
}
