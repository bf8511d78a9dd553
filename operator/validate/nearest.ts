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

/** Levenshtein's distance, row by row. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (letter === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
