import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import type { FallbackClass } from '../../routing-table/v1.ts'
import { admits } from '../circuit-view.ts'
import { CLASSES } from '../classes.ts'
import { anyLeft, keepEndpoints, next, type Rule } from '../decision.ts'
import type { Candidate, Ctx, Input, PastAttempt } from '../input.ts'
import { whoGoesOn } from '../who-goes-on.ts'
import { windowOf } from './within-context.ts'

/**
 * After a failure: leaves out endpoints that may not be tried again, other targets that the policy's fallback does not open for this
 * class of failure, and windows no larger than one that was too small. Endpoints not tried yet go before a repeat; an answer that has begun
 * has wishes of its own.
 */
export const notGivenUp: Rule = (ctx, input) => {
  const last = input.past.at(-1)
  if (last === undefined) return next(ctx)
  const all = keepEndpoints(
    ctx,
    (endpoint, candidate) => mayTry(endpoint, candidate, { ctx, input, last }),
    () => 'it has been tried, or fallback does not cover this failure',
  )
  const left = whoGoesOn(all, input)
  const same = keepEndpoints(
    left,
    ({ id }) => id === last.endpointId,
    () => 'the same endpoint is tried once more first',
  )
  if (repeatsFirst(last, input) && anyLeft(same)) return next(same)
  const fresh = keepEndpoints(
    left,
    ({ id }) => !input.past.some(({ endpointId }) => endpointId === id),
    () => 'it has been tried',
  )
  return next(anyUp(fresh, input) ? fresh : left)
}

/** Not while its probe says it is down, nor once its failures have opened its circuit: then others go first. A wait it asked for is no reason. */
function repeatsFirst({ mayRepeat, failure, endpointId }: PastAttempt, { live, nowMs }: Input): boolean {
  const { again } = CLASSES[failure]
  if (!mayRepeat || again === 'alone') return false
  const view = live.endpoint(endpointId)
  return view.ready !== false && (again === 'wait' || admits(view, nowMs) !== 'none')
}

const anyUp = ({ candidates }: Ctx, { live }: Input): boolean =>
  candidates.some(({ lost, endpoints }) => lost === undefined && endpoints.some(({ id }) => live.endpoint(id).ready !== false))

/** Whether this request may go there after its failures so far, be it fresh or once more. */
export function mayTry(
  endpoint: CompiledEndpoint,
  { model }: Candidate,
  { ctx, input, last }: { ctx: Ctx; input: Input; last: PastAttempt },
): boolean {
  if (input.past.some(({ spent, model: ref }) => spent === true && ref === model.entry.ref)) return false
  const tried = input.past.findLast(({ endpointId }) => endpointId === endpoint.id)
  if (tried !== undefined && !tried.mayRepeat) return false
  if (model.entry.ref !== last.model && !opens(ctx, last.when)) return false
  return input.past.every((attempt) => allowsElsewhere(attempt, endpoint, input))
}

const opens = ({ rule: { fallback } }: Ctx, when: FallbackClass | undefined): boolean =>
  fallback.enabled && when !== undefined && fallback.when.includes(when)

function allowsElsewhere({ failure, endpointId, model }: PastAttempt, endpoint: CompiledEndpoint, { table, live }: Input): boolean {
  if (endpoint.id === endpointId) return true
  switch (CLASSES[failure].elsewhere) {
    case 'never':
      return false
    case 'larger': {
      const tooSmall = table.endpoints.get(endpointId)
      return tooSmall === undefined || windowOf(endpoint, live) > windowOf(tooSmall, live)
    }
    case 'listed': // the same model would refuse again; whether another target is asked, the policy's `when` has said above
      return endpoint.model !== model
    case 'any':
      return true
  }
}
