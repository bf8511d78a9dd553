/** The known word that was probably meant, or undefined: at most a third of the letters may differ, beside case, "-" and "_". */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const wanted = plain(word)
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(wanted, plain(candidate)) }))
    .sort((a, b) => a.distance - b.distance)
  const best = ranked[0]
  return best !== undefined && best.distance <= Math.floor(Math.max(wanted.length, 3) / 3) ? best.candidate : undefined
}

/** `, did you mean "weight"?` or nothing. */
export function suggestion(word: string, known: readonly string[]): string {
  const meant = nearest(word, known)
  return meant === undefined ? '' : `, did you mean "${meant}"?`
}

/** Words are cut at 64 characters: longer ones resemble no field. */
const plain = (word: string): string => word.slice(0, 64).toLowerCase().replaceAll(/[-_]/g, '')

/** Letters to change, add, leave out, or swap with their neighbour: optimal string alignment, row by row. */
function editDistance(a: string, b: string): number {
  let above: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(row, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      next.push(Math.min(replaced, at(row, j) + 1, at(next, j - 1) + 1, isSwap ? at(above, j - 2) + 1 : Number.POSITIVE_INFINITY))
    }
    above = row
    row = next
  }
  return at(row, b.length)
}

const at = (row: readonly number[], column: number): number => row[column] ?? 0
