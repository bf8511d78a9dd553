import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import { chooseEndpoint } from '../choose-endpoint.ts'
import { chooseTarget } from '../choose-target.ts'
import { lineOf, type Rule, refuse } from '../decision.ts'
import { rolls } from '../dice.ts'
import { bestHeadroom, spill } from '../headroom.ts'
import type { Candidate, Ctx, Facts, Input, RuleInForce } from '../input.ts'
import { holdFor } from './within-quota.ts'

/**
 * Of the lowest tier left, the strategy chooses the target; then the model's own balancing chooses the endpoint. Where fallback covers rate
 * limits the next tier gets the part that upstreams of the lowest have lost as their quotas run out.
 */
export const strategyChooses: Rule = (ctx, input) => {
  const roll = rolls(input.dice)
  const candidates = tierOf(ctx, input, roll)
  const by = candidates[0]?.via ?? ctx.rule
  const target = chooseTarget({
    strategy: by.strategy,
    key: by.key,
    candidates,
    input,
    roll,
  })
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
    candidates: ctx.candidates,
  }
}

function tierOf({ candidates, rule: { fallback } }: Ctx, input: Input, roll: () => number): readonly Candidate[] {
  const left = candidates.filter(({ lost }) => lost === undefined)
  const tiers = [...new Set(left.map(({ tier }) => tier))].sort((a, b) => a - b)
  const inOrder = tiers.map((tier) => left.filter((candidate) => candidate.tier === tier))
  const [lowest = []] = inOrder
  if (inOrder.length < 2 || !fallback.enabled || !fallback.when.includes('RateLimited')) return lowest
  return spill(inOrder, (group) => bestHeadroom(group, input), roll) ?? lowest
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
