import type { Candidate, Input } from '../input.ts'
import { loadIn, workIn } from '../load.ts'
import type { ModelView } from '../model-view.ts'

/** Requests ahead of a new one, for each endpoint that may take it. */
export const aheadOf = (candidate: Candidate, { loads }: ModelView, input: Input): number =>
  candidate.endpoints.length === loads.takers ? loads.ahead : meanOf(candidate, input, loadIn)

/** The same with unread prompts. */
export const workAhead = (candidate: Candidate, { loads }: ModelView, input: Input): number =>
  candidate.endpoints.length === loads.takers ? loads.work : meanOf(candidate, input, workIn)

function meanOf({ endpoints }: Candidate, { live, nowMs }: Input, of: typeof loadIn): number {
  let sum = 0
  for (const endpoint of endpoints) sum += of(endpoint, live.endpoint(endpoint.id), nowMs)
  return sum / Math.max(1, endpoints.length)
}
