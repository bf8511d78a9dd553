import type { Candidate, Input } from '../input.ts'
import { loadIn, workIn } from '../load.ts'
import type { ModelView } from '../model-view.ts'

/** Requests ahead of a new one, for each endpoint that may take it. */
export function aheadOf(candidate: Candidate, view: ModelView, { live, nowMs }: Input): number {
  const { endpoints } = candidate
  if (endpoints.length === view.takers) return view.ahead / Math.max(1, view.takers)
  let ahead = 0
  for (const endpoint of endpoints) ahead += loadIn(endpoint, live.endpoint(endpoint.id), nowMs)
  return ahead / Math.max(1, endpoints.length)
}

/** The same with unread prompts. */
export function workAhead(candidate: Candidate, view: ModelView, { live, nowMs }: Input): number {
  const { endpoints } = candidate
  if (endpoints.length === view.takers) return view.work / Math.max(1, view.takers)
  let work = 0
  for (const endpoint of endpoints) work += workIn(endpoint, live.endpoint(endpoint.id), nowMs)
  return work / Math.max(1, endpoints.length)
}
