// Results as Markdown.
import type { Column, Result } from './scenario.ts'

export function renderResult ({ group, columns }: Result): string {
  const rows = [...new Set(columns.flatMap(({ cells }) => [...cells.keys()]))]
  const rendered = columns.map((column) => renderColumn(column, rows, group.ratio ?? '÷ ws'))
  const head = ['', ...rendered.flatMap((column) => column.head)]
  const body = rows.map((row, i) => [row, ...rendered.flatMap((column) => column.body[i] ?? [])])
  return `### ${group.title}\n\n${group.unit}.${renderLoad(columns)}${renderKernel(columns)}\n\n${renderTable(head, body)}`
}

export function renderTable (head: readonly string[], body: ReadonlyArray<readonly string[]>): string {
  const rule = head.map((_, i) => i === 0 ? '---' : '--:')
  return [head, rule, ...body].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

// Beside the values stand the ratios, if there are any.
function renderColumn ({ name, cells }: Column, rows: readonly string[], ratio: string): { head: string[], body: string[][] } {
  const hasRatios = [...cells.values()].some(({ ratio }) => ratio !== null)
  return {
    head: hasRatios ? [name, ratio] : [name],
    body: rows.map((row) => {
      const cell = cells.get(row)
      const value = cell === undefined ? '' : renderValue(cell.value)
      return hasRatios ? [value, renderRatio(cell?.ratio)] : [value]
    })
  }
}

// Three digits that count.
function renderValue (value: number): string {
  const digits = 2 - Math.floor(Math.log10(Math.max(Math.abs(value), 0.01)))
  return value.toFixed(Math.min(Math.max(digits, 0), 3))
}

function renderRatio (ratio: number | null | undefined): string {
  return ratio?.toFixed(ratio < 0.1 ? 3 : 2) ?? ''
}

function renderLoad (columns: readonly Column[]): string {
  const shares = columns.flatMap(({ cells }) => [...cells.values()]).flatMap(({ loadShare }) => loadShare ?? [])
  return shares.length === 0 ? '' : ` The load generator was busy for ${range(shares)} of the time.`
}

function renderKernel (columns: readonly Column[]): string {
  const shares = columns.flatMap(({ cells }) => cells.get('ours') ?? cells.get('ours, onMessage') ?? []).flatMap(({ kernelShare }) => kernelShare ?? [])
  return shares.length === 0 ? '' : ` Of ours the kernel had ${range(shares)}.`
}

function range (shares: readonly number[]): string {
  return `${percent(Math.min(...shares))} to ${percent(Math.max(...shares))}`
}

function percent (share: number): string {
  return `${Math.round(share * 100)} %`
}
