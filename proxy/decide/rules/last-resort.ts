import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import { admits } from '../circuit-view.ts'
import { UNREACHED } from '../classes.ts'
import { keepEndpoints, next, type Rule } from '../decision.ts'
import type { Candidate, Ctx, Input } from '../input.ts'
import { mayTry } from './not-given-up.ts'

/**
 * A Service's own address is for the hour when pods have moved and nobody told: it is left out as long as any other endpoint that may be
 * tried is neither down nor out of reach, for this request or for others just now, and once one has answered. Who takes its requests
 * nobody has chosen.
 */
export const lastResort: Rule = (ctx, input) => {
  if (!ctx.outlook.all.lastResorts) return next(ctx)
  const answered = input.past.some(({ failure }) => !UNREACHED.includes(failure))
  if (!answered && !ctx.candidates.some((candidate) => hasOther(candidate, ctx, input))) return next(ctx)
  return next(
    keepEndpoints(
      ctx,
      (endpoint) => !endpoint.lastResort,
      () => "only its Service's own address is left",
    ),
  )
}

const hasOther = (candidate: Candidate, ctx: Ctx, input: Input): boolean =>
  candidate.lost === undefined && candidate.endpoints.some((endpoint) => !endpoint.lastResort && isUsable(endpoint, candidate, ctx, input))

function isUsable(endpoint: CompiledEndpoint, candidate: Candidate, ctx: Ctx, input: Input): boolean {
  const last = input.past.at(-1)
  const view = input.live.endpoint(endpoint.id)
  if (view.ready === false || (view.unreached && admits(view, input.nowMs) === 'none')) return false
  if (last === undefined) return true
  return !input.past.some(({ endpointId }) => endpointId === endpoint.id) && mayTry(endpoint, candidate, { ctx, input, last })
}
