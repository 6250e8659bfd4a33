// What of all scenarios the command line asks for.
import type { Group, Row, Scenario } from './scenario.ts'
import type { Settings } from './settings.ts'

/** The groups with those of their scenarios that are to be run. An error, with all there are, if none is. */
export function select (groups: readonly Group[], settings: Settings): Group[] {
  const selected = groups
    .map((group) => ({ ...group, scenarios: group.scenarios.filter((scenario) => isSelected(group, scenario, settings)) }))
    .filter(({ scenarios }) => scenarios.length > 0)
  if (selected.length === 0) throw new Error(`Nothing to measure. These are the scenarios, and who takes part in each:\n\n${groups.map(describe).join('\n\n')}`)
  return selected
}

export function takesPart ({ contender }: Row, { contenders }: Settings): boolean {
  return contenders === null || contenders.has(contender.name)
}

function isSelected (group: Group, { name, isLong, rows }: Scenario, settings: Settings): boolean {
  if (settings.isQuick && isLong) return false
  return `${group.title}: ${name}`.toLowerCase().includes(settings.only) && rows.some((row) => takesPart(row, settings))
}

function describe ({ title, scenarios }: Group): string {
  const lines = scenarios.map(({ name, isLong, rows }) => {
    const contenders = new Set(rows.map(({ contender }) => contender.name))
    return `  ${name}${isLong ? ' (not with --quick)' : ''}: ${[...contenders].join(', ')}`
  })
  return [title, ...lines].join('\n')
}
