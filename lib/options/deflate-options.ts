// The options of permessage-deflate. ws takes them as they are, and what is wrong with them shows in a connection, at the first message.
import { inspect } from 'node:util'
import { createDeflateRaw, createInflateRaw, deflateRawSync, type ZlibOptions } from 'node:zlib'
import type { PerMessageDeflateOptions } from 'ws'
import { FST_ERR_WS_OPTION_INVALID, FST_ERR_WS_OPTION_UNKNOWN } from '../errors.ts'
import { type Check, checkAll, type Checks, isBoolean, isObject, isPositiveIntegerOrInfinity, suggestion } from './checks.ts'

const isSize = (value: unknown): boolean => value === 0 || isPositiveIntegerOrInfinity(value)
const isWindow = (value: unknown): boolean => isBoolean(value) || (Number.isInteger(value) && Number(value) >= 8 && Number(value) <= 15)

const WINDOW: Check = ['an integer from 8 to 15, or a boolean', isWindow]
const ZLIB: Check = ['an object with options of node:zlib', isObject]

const DEFLATE_OPTIONS: Checks<PerMessageDeflateOptions> = {
  serverNoContextTakeover: ['a boolean', isBoolean],
  clientNoContextTakeover: ['a boolean', isBoolean],
  serverMaxWindowBits: WINDOW,
  clientMaxWindowBits: WINDOW,
  zlibDeflateOptions: ZLIB,
  zlibInflateOptions: ZLIB,
  threshold: ['a number of bytes', isSize],
  concurrencyLimit: ['a positive integer, or Infinity', isPositiveIntegerOrInfinity]
}

// Those of Node.js 20. Later ones may have more, so that only what looks like one of these is a mistake.
const ZLIB_OPTIONS: Record<keyof ZlibOptions, true> = {
  flush: true, finishFlush: true, chunkSize: true, windowBits: true, level: true, memLevel: true, strategy: true, dictionary: true, info: true, maxOutputLength: true
}

/** @throws FST_ERR_WS_OPTION_UNKNOWN, FST_ERR_WS_OPTION_INVALID */
export function checkDeflateOptions (options: unknown): void {
  if (!isObject(options)) return
  checkAll(options, DEFLATE_OPTIONS, 'perMessageDeflate.')
  const { zlibDeflateOptions, zlibInflateOptions } = options
  checkZlib('zlibDeflateOptions', zlibDeflateOptions, (given) => {
    createDeflateRaw(given).close()
    // What is sent to many is compressed like this (lib/send/shared-deflate.ts).
    if (!Buffer.isBuffer(deflateRawSync('', given))) throw new TypeError('"info" gives no Buffer')
  })
  checkZlib('zlibInflateOptions', zlibInflateOptions, (given) => createInflateRaw(given).close())
}

function checkZlib (name: string, options: unknown, tryOut: (options: ZlibOptions) => void): void {
  if (options === undefined) return
  const path = `perMessageDeflate.${name}`
  for (const key of Object.keys(options as object)) {
    const hint = Object.hasOwn(ZLIB_OPTIONS, key) ? '' : suggestion(key, Object.keys(ZLIB_OPTIONS))
    if (hint !== '') throw FST_ERR_WS_OPTION_UNKNOWN(`${path}.${key}`, '', hint)
  }
  try {
    tryOut(options as ZlibOptions)
  } catch (error) {
    throw FST_ERR_WS_OPTION_INVALID(path, `an object with options that node:zlib takes (${(error as Error).message})`, inspect(options))
  }
}
