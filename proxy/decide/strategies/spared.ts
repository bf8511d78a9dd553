import { medianOf } from '../pace-view.ts'

/**
 * Loads in which one that gets only a part of its share counts as loaded as the others at the median: being idle it would get all.
 * `parts` undefined = each gets all of its share.
 */
export function spared(loads: readonly number[], parts: readonly number[] | undefined): readonly number[] {
  if (parts === undefined) return loads
  const usual = medianOf(loads.filter((_, at) => parts[at] === 1))
  return Number.isNaN(usual) ? loads : loads.map((load, at) => ((parts[at] ?? 1) < 1 ? Math.max(load, usual) : load))
}

export function leastOf(numbers: readonly number[]): number {
  let least = Number.POSITIVE_INFINITY
  for (const one of numbers) if (one < least) least = one
  return least
}
