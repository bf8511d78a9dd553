import { anyLeft, keepEndpoints, next, type Rule, refuse } from '../decision.ts'
import type { Ctx, Input } from '../input.ts'
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
  const seen = { cheapestUsd: Number.POSITIVE_INFINITY, because: '' }
  const left = keepEndpoints(
    ctx,
    (endpoint) => {
      const prices = pricesAt(endpoint, input.live)
      const costs = prices && ceilingUsd(endpoint, input.facts, prices, input.live)
      if (prices === undefined || costs === undefined) {
        seen.because = 'its price is not known'
        return unknownPrice !== 'Exclude'
      }
      const output = prices.outputPerMillionTokens
      if (costCeiling?.perMillionOutputTokens !== undefined && output !== undefined && output > costCeiling.perMillionOutputTokens) {
        seen.because = `its output costs ${usd(output)} USD a million tokens; ${usd(costCeiling.perMillionOutputTokens)} is allowed`
        return false
      }
      seen.cheapestUsd = Math.min(seen.cheapestUsd, costs)
      if (costCeiling?.perRequest === undefined || spentUsd + costs <= costCeiling.perRequest) return true
      seen.because = `it would cost up to ${usd(costs)} USD${spentUsd > 0 ? ` after ${usd(spentUsd)}` : ''}; ${usd(costCeiling.perRequest)} is allowed`
      return false
    },
    () => seen.because,
  )
  return anyLeft(left) || !anyLeft(ctx) ? next(left) : tooDear(left, input, seen.cheapestUsd)
}

function tooDear(ctx: Ctx, { facts }: Input, cheapestUsd: number): ReturnType<Rule> {
  const { perRequest } = ctx.rule.policy?.entry.costCeiling ?? {}
  const cheapest = Number.isFinite(cheapestUsd) ? ` The cheapest would cost up to ${usd(cheapestUsd)} USD.` : ''
  const allowed = perRequest === undefined ? '' : ` A request may cost ${usd(perRequest)} USD.`
  const message = `Every target of "${facts.asked}" is above the cost ceiling of its policy.${allowed}${cheapest} Ask for fewer output tokens, shorten the prompt, or choose another model.`
  return refuse(ctx, 'cost_ceiling_exceeded', message)
}

const usd = (amount: number): string => String(Number(amount.toPrecision(3)))
