import type { Strategy } from '../routing-table/v1.ts'
import { rampPercent } from './circuit-view.ts'
import { candidateHeadroom } from './headroom.ts'
import type { Candidate, Input } from './input.ts'
import { leastLoad } from './strategies/least-load.ts'
import { priority } from './strategies/priority.ts'
import { type Choice, NO_STEPS, type Question, round, type StrategyOf } from './strategies/strategy.ts'
import { weightedRandom } from './strategies/weighted-random.ts'
import { weightedRoundRobin } from './strategies/weighted-round-robin.ts'

/** Adding one = a file in `strategies/` and its line here; the shared suite in `strategies.test.ts` runs over all of them. */
const STRATEGIES: Record<Strategy, StrategyOf> = {
  Adaptive: leastLoad,
  WeightedRandom: weightedRandom,
  WeightedRoundRobin: weightedRoundRobin,
  Priority: priority,
  LeastLoad: leastLoad,
  LowestLatency: leastLoad,
  LowestCost: leastLoad,
}

/**
 * One target of those left, by the rule's strategy. A weight of 0 takes part only when every weight left is 0. Where the upstreams of a
 * target have used most of their quota its weight falls with what is left; where all of its endpoints ramp, to what they get.
 */
export function chooseTarget(question: Question & { readonly strategy: Strategy }): Choice | undefined {
  const { candidates, input, strategy } = question
  const [only] = candidates
  if (only === undefined) return undefined
  if (candidates.length === 1 && strategy !== 'WeightedRoundRobin') return { candidate: only, why: 'only target left', steps: NO_STEPS }
  const weighed = withWeight(candidates)
  const headrooms = weighed.map((candidate) => candidateHeadroom(candidate, input))
  const ramps = weighed.map((candidate) => rampShare(candidate, input))
  const quotas = headrooms.some((one) => one < 1)
  if (!quotas && ramps.every((one) => one === 1)) return STRATEGIES[strategy]({ ...question, candidates: weighed })
  const shifted = weighed.map((candidate, at) => ({
    ...candidate,
    weight: round(candidate.weight * (headrooms[at] ?? 1) * (ramps[at] ?? 1)),
  }))
  const open = shifted.filter(({ weight }) => weight > 0)
  const choice = STRATEGIES[strategy]({ ...question, candidates: open.length > 0 ? open : weighed })
  return choice && { ...choice, why: `${choice.why} (${quotas ? 'quotas shift' : 'a target ramps'})` }
}

/** 0 to 1: that of the endpoint that has come farthest. */
function rampShare({ endpoints }: Candidate, { live, nowMs }: Input): number {
  let most = 0
  for (const { id } of endpoints) {
    most = Math.max(most, rampPercent(live.endpoint(id).circuit, nowMs))
    if (most === 100) return 1
  }
  return endpoints.length === 0 ? 1 : most / 100
}

function withWeight(candidates: readonly Candidate[]): readonly Candidate[] {
  const weighted = candidates.filter(({ weight }) => weight > 0)
  return weighted.length > 0 ? weighted : candidates
}
