import { anyLeft, DEFAULT_MAX_WAIT_MS, hold, keepEndpoints, lineOf, lose, next, type Rule, refuse } from '../decision.ts'
import type { Ctx, Input } from '../input.ts'

/**
 * Leaves out endpoints that have as many requests as their model allows, and models for which others wait already. Where fallback does not
 * cover overload its chain is no way out. When nothing else is left the request waits.
 */
export const hasSlot: Rule = (ctx, input) => {
  if (!ctx.outlook.all.limited) return next(ctx)
  const { live } = input
  const free = keepEndpoints(
    ctx,
    ({ id }, { model: { entry } }) => live.endpoint(id).inFlight < (entry.limits?.maxConcurrentPerEndpoint ?? Number.POSITIVE_INFINITY),
    () => 'its endpoints have as many requests as they may',
    ({ limited }) => !limited,
  )
  const orderly = input.turn || input.past.length > 0 ? free : behindOthers(free, input)
  if (orderly === ctx) return next(ctx)
  const open = overloadOpens(ctx) ? orderly : withoutChain(ctx, orderly)
  if (anyLeft(open)) return next(open)
  const waited = ctx.candidates.flatMap(({ lost, model }, index) => (lost === undefined && !closed(open, index) ? [model] : []))
  const { asked } = input.facts
  const refusal = refuse(open, 'concurrency_limit', `"${asked}" has as many requests as it may, and as many wait. Try again shortly.`)
  const maxWaitMs = Math.max(...waited.map(({ entry }) => entry.limits?.queue?.maxWaitMs ?? DEFAULT_MAX_WAIT_MS))
  return { ...hold(ctx, refusal, { lines: waited.map(lineOf), wakeAtMs: undefined, maxWaitMs }, input), why: 'saturated' }
}

const CLOSED = 'fallback does not cover overload'
const closed = ({ candidates }: Ctx, index: number): boolean => candidates[index]?.lost === CLOSED

const overloadOpens = ({ rule: { fallback } }: Ctx): boolean => fallback.when.includes('Overloaded')

function behindOthers(ctx: Ctx, { waitingFor }: Input): Ctx {
  if (!ctx.candidates.some(({ lost, model }) => lost === undefined && waitingFor(model.entry.ref) > 0)) return ctx
  return lose(ctx, ({ model }) => waitingFor(model.entry.ref) > 0, 'others wait for it')
}

/** A chain that is in use already, as the rule's own targets have failed, stays. */
function withoutChain(before: Ctx, after: Ctx): Ctx {
  const filled = before.candidates.some(
    ({ lost, tier }, index) => tier === 0 && lost === undefined && after.candidates[index]?.lost !== undefined,
  )
  return filled ? lose(after, ({ tier }) => tier > 0, CLOSED) : after
}
