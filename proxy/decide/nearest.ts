import { visibleNames } from '../routing-table/compile.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'

const MAX_NAMES_COMPARED = 2000
const MAX_LENGTH_COMPARED = 100

/** At most three visible names within a third of the asked name's length in edits, nearest first. Bounded work: it answers mistakes only. */
export function nearestNames(table: CompiledTable, asked: string, clientNamespace: string): string[] {
  const wanted = asked.slice(0, MAX_LENGTH_COMPARED).toLowerCase()
  const limit = Math.max(2, Math.floor(wanted.length / 3))
  return visibleNames(table, clientNamespace)
    .slice(0, MAX_NAMES_COMPARED)
    .map(({ name }) => ({ name, distance: distance(wanted, name.slice(0, MAX_LENGTH_COMPARED).toLowerCase()) }))
    .filter(({ name, distance: edits }) => edits <= limit || name.toLowerCase().includes(wanted))
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name)
}

/** Levenshtein, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const previous = row
    row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(substituted, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
  }
  return row[b.length] ?? 0
}
