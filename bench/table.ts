// Results as Markdown.
import type { Cell, Result } from './scenario.ts'

export function renderResult ({ group, columns }: Result): string {
  const rows = new Set(columns.flatMap(({ cells }) => [...cells.keys()]))
  const head = ['', ...columns.flatMap(({ name }) => [name, group.ratio ?? '÷ ws'])]
  const body = [...rows].map((row) => [row, ...columns.flatMap(({ cells }) => renderCell(cells.get(row)))])
  return `### ${group.title}\n\n${group.unit}.${renderLoad(columns.flatMap(({ cells }) => [...cells.values()]))}\n\n${renderTable(head, body)}`
}

export function renderTable (head: readonly string[], body: ReadonlyArray<readonly string[]>): string {
  const rule = head.map((_, i) => i === 0 ? '---' : '--:')
  return [head, rule, ...body].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function renderCell (cell: Cell | undefined): string[] {
  if (cell === undefined) return ['', '']
  return [renderValue(cell.value), cell.ratio === null ? '' : cell.ratio.toFixed(2)]
}

// Three digits that count.
function renderValue (value: number): string {
  const digits = 2 - Math.floor(Math.log10(Math.max(Math.abs(value), 0.01)))
  return value.toFixed(Math.min(Math.max(digits, 0), 3))
}

function renderLoad (cells: readonly Cell[]): string {
  const shares = cells.flatMap(({ loadShare }) => loadShare ?? [])
  if (shares.length === 0) return ''
  return ` The load generator was busy for ${percent(Math.min(...shares))} to ${percent(Math.max(...shares))} of the time.`
}

function percent (share: number): string {
  return `${Math.round(share * 100)} %`
}
