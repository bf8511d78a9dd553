import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import type { Policy } from '../../routing-table/v1.ts'
import { anyLeft, keepEndpoints, next, type Rule, refuse } from '../decision.ts'
import type { Candidate, Ctx, Input } from '../input.ts'
import { ceilingUsd, pricesAt } from '../price.ts'

/**
 * Leaves out endpoints that would cost more than the policy allows, for the whole request with what its attempts so far have cost, or for a
 * million tokens; and those without a known price where the policy wants to know it.
 */
export const withinCost: Rule = (ctx, input) => {
  const policy = ctx.rule.policy?.entry
  const { costCeiling, unknownPrice } = policy ?? {}
  const asks = costCeiling !== undefined || ctx.rule.strategy === 'LowestCost'
  if (!asks || (costCeiling === undefined && unknownPrice !== 'Exclude')) return next(ctx)
  const spentUsd = input.past.reduce((sum, { costUsd = 0 }) => sum + costUsd, 0)
  const seen: Seen = { cheapestUsd: Number.POSITIVE_INFINITY, because: '' }
  const asked = { input, spentUsd, costCeiling, unknownPrice }
  const fits = (endpoint: CompiledEndpoint): boolean => isAllowed(endpoint, asked, seen)
  const because = (): string => seen.because
  const left = keepEndpoints(keepAlike(ctx, fits, because), fits, because, (_, candidate) => candidate !== undefined && isAlike(candidate))
  return anyLeft(left) || !anyLeft(ctx) ? next(left) : tooDear(left, input, seen.cheapestUsd)
}

/** Endpoints of one backend cost the same, unless each has an hour of its own: where a model has one, its first is asked for all. */
function keepAlike(ctx: Ctx, fits: (endpoint: CompiledEndpoint) => boolean, because: () => string): Ctx {
  let candidates: Candidate[] | undefined
  for (let at = 0; at < ctx.candidates.length; at++) {
    const candidate = ctx.candidates[at]
    if (candidate === undefined || candidate.lost !== undefined || !isAlike(candidate)) continue
    const [first] = candidate.endpoints
    if (first === undefined || fits(first)) continue
    candidates ??= [...ctx.candidates]
    candidates[at] = { ...candidate, endpoints: [], lost: because() }
  }
  return candidates === undefined ? ctx : { ...ctx, candidates }
}

function isAlike({ model: { entry } }: Candidate): boolean {
  return entry.backends.length === 1 && entry.backends[0]?.pricing?.perHour === undefined
}

interface Seen {
  cheapestUsd: number
  /** Of the last one that was left out. */
  because: string
}

interface Asked {
  readonly input: Input
  readonly spentUsd: number
  readonly costCeiling: Policy['costCeiling'] | undefined
  readonly unknownPrice: Policy['unknownPrice'] | undefined
}

function isAllowed(endpoint: CompiledEndpoint, { input, spentUsd, costCeiling = {}, unknownPrice }: Asked, seen: Seen): boolean {
  const prices = pricesAt(endpoint, input.live)
  const costs = prices && ceilingUsd(endpoint, input.facts, prices, input.live)
  if (prices === undefined || costs === undefined) {
    seen.because = 'its price is not known'
    return unknownPrice !== 'Exclude'
  }
  const { perRequest, perMillionOutputTokens } = costCeiling
  const output = prices.outputPerMillionTokens ?? 0
  if (perMillionOutputTokens !== undefined && output > perMillionOutputTokens) {
    seen.because = `its output costs ${usd(output)} USD a million tokens; ${usd(perMillionOutputTokens)} is allowed`
    return false
  }
  seen.cheapestUsd = Math.min(seen.cheapestUsd, costs)
  if (perRequest === undefined || spentUsd + costs <= perRequest) return true
  seen.because = `it would cost up to ${usd(costs)} USD${spentUsd > 0 ? ` after ${usd(spentUsd)}` : ''}; ${usd(perRequest)} is allowed`
  return false
}

function tooDear(ctx: Ctx, { facts }: Input, cheapestUsd: number): ReturnType<Rule> {
  const { perRequest } = ctx.rule.policy?.entry.costCeiling ?? {}
  const cheapest = Number.isFinite(cheapestUsd) ? ` The cheapest would cost up to ${usd(cheapestUsd)} USD.` : ''
  const allowed = perRequest === undefined ? '' : ` A request may cost ${usd(perRequest)} USD.`
  const message = `Every target of "${facts.asked}" is above the cost ceiling of its policy.${allowed}${cheapest} Ask for fewer output tokens, shorten the prompt, or choose another model.`
  return refuse(ctx, 'cost_ceiling_exceeded', message)
}

const usd = (amount: number): string => String(Number(amount.toPrecision(3)))
