// The ratios of an earlier run, and which of this one are far from them. Ratios, since they travel from machine to machine.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Group, Result } from './scenario.ts'
import { renderTable } from './table.ts'

const FILE = fileURLToPath(new URL('../../baseline.json', import.meta.url))
const BAND = 0.35

interface Ratio {
  readonly key: string
  readonly isOurs: boolean
  readonly ratio: number
  readonly band: number
}

interface Outlier extends Ratio {
  readonly expected: number
}

export type Baseline = Readonly<Record<string, number>>

export function readBaseline (): Baseline {
  if (!existsSync(FILE)) throw new Error('There is no bench/baseline.json to compare with: `npm run bench -- --write` makes one, by a full run')
  return JSON.parse(readFileSync(FILE, 'utf8'))
}

export function writeBaseline (results: readonly Result[]): void {
  const ratios = Object.fromEntries(ratiosOf(results).map(({ key, ratio }) => [key, Number(ratio.toPrecision(3))]))
  writeFileSync(FILE, `${JSON.stringify(ratios, null, 2)}\n`)
}

/** Whether all of ours are as good as they were; prints those that are not, and those of anybody that have changed. */
export function isWithin (baseline: Baseline, results: readonly Result[]): boolean {
  const compared = ratiosOf(results).flatMap((ratio) => {
    const expected = baseline[ratio.key]
    return expected === undefined ? [] : [{ ...ratio, expected }]
  })
  if (compared.length === 0) throw new Error('Nothing of this run is in bench/baseline.json')
  const outliers = compared.filter(isOutlier)
  console.log(`${compared.length} ratios compared with bench/baseline.json, ${outliers.length} outside their bands\n`)
  if (outliers.length > 0) console.log(`${renderOutliers(outliers)}\n`)
  return !outliers.some(isFailure)
}

function ratiosOf (results: readonly Result[]): Ratio[] {
  return results.flatMap(({ group, columns }) => columns.flatMap(({ name, cells }) => [...cells].flatMap(([row, { ratio }]) => {
    if (ratio === null || row === 'ws') return []
    return [{ key: keyOf(group, name, row), isOurs: row.startsWith('ours'), ratio, band: group.band ?? BAND }]
  })))
}

function keyOf ({ title }: Group, column: string, row: string): string {
  return `${title} | ${column} | ${row}`
}

function isOutlier ({ ratio, expected, band }: Outlier): boolean {
  return ratio < expected * (1 - band) || ratio > expected / (1 - band)
}

// What got better, or what others changed, wants a new baseline and is no fault.
function isFailure ({ isOurs, ratio, expected }: Outlier): boolean {
  return isOurs && ratio < expected
}

function renderOutliers (outliers: readonly Outlier[]): string {
  return renderTable(['ratio', 'baseline', 'now', ''], outliers.map((outlier) => [
    outlier.key.replaceAll(' | ', ': '), outlier.expected.toPrecision(3), outlier.ratio.toPrecision(3), isFailure(outlier) ? 'worse' : 'changed'
  ]))
}
