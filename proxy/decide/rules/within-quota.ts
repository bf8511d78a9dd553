import type { Code } from '../../errors.ts'
import {
  anyLeft,
  DEFAULT_MAX_WAIT_MS,
  type Decision,
  hold,
  keepEndpoints,
  type Line,
  lineOf,
  lose,
  next,
  type Refusal,
  type Rule,
  refuse,
  type Verdict,
} from '../decision.ts'
import type { Candidate, Ctx, Facts, Input } from '../input.ts'
import type { Shortage } from '../limits-view.ts'

/**
 * The client's limits have room, then the limits of the model that would serve. A model without room is passed over where fallback is on:
 * for the rule's own other targets, and for the chain if fallback covers RateLimited. An upstream that has nothing left of its quota is
 * passed over likewise, but tried all the same where nothing else is left: what it last said may be wrong.
 */
export const withinQuota: Rule = (ctx, input) => {
  const client = input.admitted === true ? undefined : input.live.limits.clientShortage(ctx.rule, input.facts, input.nowMs)
  if (client !== undefined) return holdFor(ctx, client, [{ key: client.key, queue: undefined }], input)
  const within = withinModelLimits(ctx, input)
  return within.kind === 'next' ? next(besideParked(within.ctx, input)) : within
}

function withinModelLimits(ctx: Ctx, input: Input): Verdict {
  const { live, facts, nowMs } = input
  if (!ctx.outlook.all.limited) return next(ctx)
  const shortageOf = ({ lost, model }: Candidate): Shortage | undefined =>
    lost === undefined ? live.limits.modelShortage(model.entry.ref, facts, nowMs) : undefined
  if (!ctx.candidates.some((candidate) => shortageOf(candidate) !== undefined)) return next(ctx)
  const shortages = ctx.candidates.map(shortageOf)
  const shifts = ctx.rule.fallback.enabled
  const left = shifts ? without(ctx, (_, index) => shortages[index] !== undefined, 'its limit has no room') : ctx
  if (shifts && anyLeft(left)) return next(left)
  const soonest = shortages.filter((one) => one !== undefined).reduce((first, one) => (one.resetMs < first.resetMs ? one : first))
  const open = ctx.candidates.filter(({ lost }) => lost === undefined).length
  if (shifts || open === 1) return holdFor(left, soonest, linesOf(ctx), input)
  return next({
    ...ctx,
    candidates: ctx.candidates.map((one, index) => (shortages[index] === undefined ? one : { ...one, short: shortages[index] })),
  })
}

/** Loses candidates; with all of the rule's own gone, its chain too unless fallback covers RateLimited. */
function without(ctx: Ctx, loses: (candidate: Candidate, index: number) => boolean, lost: string): Ctx {
  const left = lose(ctx, loses, lost)
  const isOpen = ({ lost: why, tier }: Candidate): boolean => why === undefined && tier === 0
  const chainShut = ctx.candidates.some(isOpen) && !left.candidates.some(isOpen) && !ctx.rule.fallback.when.includes('RateLimited')
  return chainShut ? lose(left, () => true, 'fallback does not cover rate limits') : left
}

function besideParked(ctx: Ctx, { live, nowMs }: Input): Ctx {
  if (!ctx.outlook.all.hasQuota) return ctx
  const isParked = ({ endpoints }: Candidate): boolean => endpoints.every((endpoint) => live.limits.headroom(endpoint, nowMs) <= 0)
  const some = keepEndpoints(
    ctx,
    (endpoint, candidate) => live.limits.headroom(endpoint, nowMs) > 0 || isParked(candidate),
    () => '',
  )
  if (!ctx.rule.fallback.enabled) return some
  const left = without(some, isParked, 'its upstream has nothing left of its quota')
  return anyLeft(left) ? left : some
}

const CODES: Readonly<Record<Shortage['limit'], Code>> = {
  requestsPerMinute: 'rate_limit_exceeded',
  tokensPerMinute: 'rate_limit_exceeded',
  tokensPerDay: 'insufficient_quota',
  costPerDay: 'insufficient_quota',
  maxConcurrent: 'concurrency_limit',
  maxConcurrentPerEndpoint: 'concurrency_limit',
  queue: 'concurrency_limit',
}

const NAMES: Readonly<Record<Shortage['limit'], string>> = {
  requestsPerMinute: 'requests a minute',
  tokensPerMinute: 'tokens a minute',
  tokensPerDay: 'tokens a day',
  costPerDay: 'USD a day',
  maxConcurrent: 'requests at a time',
  maxConcurrentPerEndpoint: 'requests at a time',
  queue: 'waiting requests',
}

const linesOf = ({ candidates }: Ctx): readonly Line[] =>
  candidates.flatMap(({ lost, model }) => (lost === undefined ? [lineOf(model)] : []))

/** A wait that is worth it without a queue that the model declares: a share that is on its way, or the end of a window. */
const SHORT_WAIT_MS = 2000

/** Waits where there will be room before the wait is over, or where more of the limit may come; else refuses. */
export function holdFor(ctx: Ctx, shortage: Shortage, lines: readonly Line[], input: Input): Decision {
  const { resetMs, leased } = shortage
  const refusal = refuseFor(ctx, shortage, input.facts)
  const maxWaitMs = Math.max(...lines.map(({ queue }) => (queue === undefined ? SHORT_WAIT_MS : (queue.maxWaitMs ?? DEFAULT_MAX_WAIT_MS))))
  if (resetMs > maxWaitMs && !(leased && Number.isFinite(resetMs))) return refusal
  return hold(ctx, refusal, { lines, wakeAtMs: input.nowMs + resetMs, maxWaitMs }, input)
}

function refuseFor(ctx: Ctx, shortage: Shortage, facts: Facts): Refusal {
  const { limit, max, resetMs } = shortage
  const never = resetMs === Number.POSITIVE_INFINITY
  const what = `The limit of ${max} ${NAMES[limit]} for "${facts.asked}"`
  const message = never
    ? `${what} is smaller than this request. Send a shorter one.`
    : `${what} has no room for this request. Wait as long as Retry-After says.`
  return refuse(ctx, CODES[limit], message, { shortage, ...(!never && { retryAfterMs: resetMs }) })
}
