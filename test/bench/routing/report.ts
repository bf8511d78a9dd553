/** Writes the figures down as Markdown. PURE. */
import type { Gate } from './gates.ts'
import { type CellResult, nameOf } from './grid.ts'
import type { Outcome } from './outcome.ts'
import { meanOf } from './statistics.ts'

export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

/** One row a cell, one column a chooser: the mean over seeds. */
export function cellTable(results: readonly CellResult[], show: (outcomes: readonly Outcome[]) => string): string {
  const names = [...(results[0]?.byName.keys() ?? [])]
  return table(
    ['load, arrivals, proxies', ...names],
    results.map(({ cell, byName }) => [nameOf(cell), ...names.map((name) => show(byName.get(name) ?? []))]),
  )
}

const mean = (outcomes: readonly Outcome[], of: (one: Outcome) => number): number => meanOf(outcomes.map(of))
const percent = (part: number): string => (part * 100).toFixed(1)

export const goodputTable = (results: readonly CellResult[]): string =>
  cellTable(results, (outcomes) => percent(mean(outcomes, ({ goodput }) => goodput)))

export const phaseTable = (results: readonly CellResult[]): string =>
  cellTable(results, (outcomes) => [0, 1, 2].map((at) => (100 * mean(outcomes, ({ phases }) => phases[at] ?? 0)).toFixed(0)).join(' / '))

export const firstTokenTable = (results: readonly CellResult[]): string =>
  cellTable(
    results,
    (outcomes) =>
      `${mean(outcomes, ({ firstTokenP50Ms }) => firstTokenP50Ms / 1000).toFixed(2)} / ${mean(outcomes, ({ firstTokenP99Ms }) => firstTokenP99Ms / 1000).toFixed(1)}`,
  )

export const spreadTable = (results: readonly CellResult[]): string =>
  cellTable(results, (outcomes) => mean(outcomes, ({ spread }) => spread).toFixed(2))

export const gateTable = (gates: readonly Gate[]): string =>
  table(
    ['gate', 'where', 'allowed', 'measured', ''],
    gates.map(({ what, where, allowed, measured, passed }) => [what, where, allowed, measured, passed ? 'passed' : '**missed**']),
  )
