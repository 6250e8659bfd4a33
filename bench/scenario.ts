// The words of this directory: a group is a table, a scenario one or some of its columns, a row a contender or a way to
// use it.
import type { Contender } from './contenders.ts'
import type { Settings } from './settings.ts'

export interface Row {
  readonly name: string
  readonly contender: Contender
  readonly path: string
}

export interface Cell {
  /** In the unit of the group. */
  readonly value: number
  /** What bare ws has, divided by the value: more than 1 is better than ws. Null where there is nothing to compare with. */
  readonly ratio: number | null
  /** Which share of the time the load generator was busy, where that matters. */
  readonly loadShare?: number
  /** Which share of the server's CPU time was the kernel's, in system calls. */
  readonly kernelShare?: number
}

export interface Scenario {
  readonly name: string
  /** Whether `--quick` leaves it out. */
  readonly isLong?: boolean
  readonly rows: readonly Row[]
  measure (settings: Settings): Promise<readonly Column[]>
}

export interface Group {
  readonly title: string
  readonly unit: string
  /** What its ratio is, if not that of ws to the row. */
  readonly ratio?: string
  /** How far its ratios may fall below those of `baseline.json`, where a third is too little for what is measured. */
  readonly band?: number
  readonly scenarios: readonly Scenario[]
}

export interface Column {
  readonly name: string
  /** By the name of the row. */
  readonly cells: ReadonlyMap<string, Cell>
}

export interface Result {
  readonly group: Group
  readonly columns: readonly Column[]
}
