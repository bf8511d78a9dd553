import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { Candidate, Input } from './input.ts'

type Seen = Pick<Input, 'live' | 'nowMs'>

/** 0 to 1: of endpoints that share requests by weight, what their upstreams' quotas leave of their share. */
export function headroomOf(endpoints: readonly CompiledEndpoint[], { live, nowMs }: Seen): number {
  let [total, left] = [0, 0]
  for (const endpoint of endpoints) {
    total += endpoint.weight
    left += endpoint.weight * live.limits.headroom(endpoint, nowMs)
  }
  return total > 0 ? left / total : 1
}

/** Endpoints by backend priority, the first that is asked first: as a model has them, they are in that order. */
export function byPriority(endpoints: readonly CompiledEndpoint[]): readonly (readonly CompiledEndpoint[])[] {
  if (endpoints[0]?.backend.priority === endpoints.at(-1)?.backend.priority) return [endpoints]
  const priorities = new Set(endpoints.map(({ backend }) => backend.priority))
  return [...priorities].map((priority) => endpoints.filter(({ backend }) => backend.priority === priority))
}

/** A candidate has as much headroom as the best of its backend priorities. */
export function candidateHeadroom({ model, endpoints }: Candidate, seen: Seen): number {
  if (!seen.live.model(model, seen.nowMs).hasQuota) return 1
  if (endpoints.every((endpoint) => seen.live.limits.headroom(endpoint, seen.nowMs) >= 1)) return 1
  return Math.max(...byPriority(endpoints).map((group) => headroomOf(group, seen)))
}

export const bestHeadroom = (candidates: readonly Candidate[], seen: Seen): number =>
  Math.max(...candidates.map((candidate) => candidateHeadroom(candidate, seen)))

/**
 * Of groups in order of preference the first, or by chance the next, in the part that the first has lost of its headroom. Nothing left at
 * all counts only where others have something.
 */
export function spill<T>(groups: readonly T[], headroom: (group: T) => number, roll: () => number): T | undefined {
  const open = groups.filter((group) => headroom(group) > 0)
  const eligible = open.length > 0 ? open : groups
  const last = eligible.at(-1)
  for (const group of eligible) {
    const left = headroom(group)
    if (group === last || left >= 1 || roll() < left) return group
  }
  return last
}
