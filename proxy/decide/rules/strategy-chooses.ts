import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import { chooseEndpoint } from '../choose-endpoint.ts'
import { chooseTarget, type Target } from '../choose-target.ts'
import { lineOf, type Rule, refuse } from '../decision.ts'
import { rolls } from '../dice.ts'
import { bestHeadroom, spill } from '../headroom.ts'
import type { Candidate, Ctx, Facts, Input, RuleInForce } from '../input.ts'
import type { ModelView } from '../model-view.ts'
import { holdFor } from './within-quota.ts'

/**
 * Of the lowest tier left, the strategy chooses the target; then the model's own balancing chooses the endpoint. Where fallback covers rate
 * limits the next tier gets the part that upstreams of the lowest have lost as their quotas run out.
 */
export const strategyChooses: Rule = (ctx, input) => {
  const roll = rolls(input.dice)
  const tier = tierOf(ctx, input, roll)
  const { strategy, key, sticky } = tier.candidates[0]?.via ?? ctx.rule
  const target = chooseTarget({ strategy, key, sticky, ...tier, outlook: ctx.outlook, input, roll })
  if (target === undefined) return refuse(ctx, 'no_available_target', `No endpoint of "${input.facts.asked}" can take requests.`)
  if (target.candidate.short !== undefined) return holdFor(ctx, target.candidate.short, [lineOf(target.candidate.model)], input)
  const picked = chooseEndpoint(target.candidate, input, roll)
  const { candidate } = target
  return {
    kind: 'send',
    model: candidate.model,
    endpoint: picked.endpoint,
    upstreamModel: candidate.model.aliasUpstream.get(input.facts.asked) ?? picked.endpoint.backend.upstreamModel,
    clampOutputTokens: clamp(picked.endpoint, input.facts),
    rule: ctx.rule,
    why: why(
      {
        again: input.past.at(-1)?.endpointId === picked.endpoint.id,
        panic: ctx.panic,
        tier: candidate.tier,
        via: candidate.via,
        last: picked.endpoint.lastResort,
      },
      target.why,
      picked.why,
    ),
    steps: [...target.steps, ...picked.steps],
    ...(picked.affinity !== undefined && { affinity: picked.affinity }),
    candidates: withFactors(ctx, target, input),
  }
}

interface Tier {
  readonly candidates: readonly Candidate[]
  readonly views: readonly ModelView[]
}

function tierOf(ctx: Ctx, input: Input, roll: () => number): Tier {
  const { fallback } = ctx.rule
  if (ctx.candidates.every(({ lost, tier }) => lost === undefined && tier === 0))
    return { candidates: ctx.candidates, views: ctx.outlook.views }
  const left = ctx.candidates.filter(({ lost }) => lost === undefined)
  const tiers = [...new Set(left.map(({ tier }) => tier))].sort((a, b) => a - b)
  const inOrder = tiers.map((tier) => left.filter((candidate) => candidate.tier === tier))
  const [lowest = []] = inOrder
  const spills = inOrder.length > 1 && fallback.enabled && fallback.when.includes('RateLimited')
  return among(ctx, spills ? (spill(inOrder, (group) => bestHeadroom(group, input), roll) ?? lowest) : lowest)
}

const among = ({ candidates, outlook }: Ctx, some: readonly Candidate[]): Tier => ({
  candidates: some,
  views: outlook.views.filter((_, at) => {
    const candidate = candidates[at]
    return candidate !== undefined && some.includes(candidate)
  }),
})

function withFactors({ candidates }: Ctx, target: Target, { explain }: Input): readonly Candidate[] {
  if (explain !== true) return candidates
  return candidates.map((candidate) => {
    const factors = candidate.lost === undefined ? target.factors(candidate) : undefined
    return factors === undefined ? candidate : { ...candidate, factors }
  })
}

/** A ceiling holds whether the client asked for more or for no number at all. */
function clamp({ backend: { maxOutput } }: CompiledEndpoint, { maxOutputTokens, route }: Facts): number | undefined {
  if (maxOutput === undefined || route === 'embeddings') return undefined
  return maxOutputTokens === undefined || maxOutputTokens > maxOutput.tokens ? maxOutput.tokens : undefined
}

interface Circumstances {
  readonly again: boolean
  readonly panic: boolean
  readonly tier: number
  readonly via: RuleInForce | undefined
  readonly last: boolean
}

function why({ again, panic, tier, via, last }: Circumstances, target: string, endpoint: string): string {
  const reasons = [
    again ? 'once more' : panic ? 'panic' : '',
    last ? 'last resort' : '',
    tier > 0 ? `fallback ${tier}` : '',
    via === undefined ? '' : `rule ${via.name} of ${via.policy?.name}`,
    target,
    endpoint,
  ]
  return reasons.filter((reason) => reason !== '').join('; ')
}
