// The command line.
import { type ContenderName, isContenderName } from './contenders.ts'

export interface Settings {
  readonly isQuick: boolean
  readonly isCheck: boolean
  readonly isWrite: boolean
  /** Part of the name of the scenarios that are run, in lower case. */
  readonly only: string
  /** Null for all. */
  readonly contenders: ReadonlySet<ContenderName> | null
  /** How many slices are measured of each contender. */
  readonly rounds: number
  /** Milliseconds of load on each before the first of them, for the compiler of V8. */
  readonly warmUp: number
  /** Milliseconds. */
  readonly slice: number
}

const USAGE = `npm run bench -- [--quick] [--only=<part of a scenario's name>] [--contenders=ws,ours,…] [--rounds=<number>]
  [--slice=<milliseconds>] [--warmup=<milliseconds>] [--check] [--write]`

const OPTIONS = new Set(['quick', 'only', 'contenders', 'rounds', 'slice', 'warmup', 'check', 'write'])

export function readSettings (args: readonly string[]): Settings {
  const given = new Map(args.map((argument) => {
    const [, name = '', value = ''] = /^--([a-z]+)(?:=(.*))?$/.exec(argument) ?? []
    if (!OPTIONS.has(name)) throw new Error(`Unknown argument ${argument}\n\n${USAGE}`)
    return [name, value]
  }))
  const isQuick = given.has('quick')
  if (given.has('write') && ['quick', 'only', 'contenders'].some((name) => given.has(name))) {
    throw new Error('Only a full run is written: --write goes with neither --quick nor --only nor --contenders')
  }
  return {
    isQuick,
    isCheck: given.has('check'),
    isWrite: given.has('write'),
    only: (given.get('only') ?? '').toLowerCase(),
    contenders: readContenders(given.get('contenders')),
    rounds: readNumber(given.get('rounds'), isQuick ? 3 : 12),
    warmUp: readNumber(given.get('warmup'), isQuick ? 400 : 1500),
    slice: readNumber(given.get('slice'), isQuick ? 120 : 250)
  }
}

function readContenders (list: string | undefined): ReadonlySet<ContenderName> | null {
  if (list === undefined) return null
  return new Set(list.split(',').map((name) => {
    if (!isContenderName(name)) throw new Error(`Unknown contender ${name}\n\n${USAGE}`)
    return name
  }))
}

function readNumber (text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`Not a number: ${text}\n\n${USAGE}`)
  return Number(text)
}
