import type { Sticky, Strategy } from '../routing-table/v1.ts'
import { stuckTo } from './affinity/sticky.ts'
import { rampPercent } from './circuit-view.ts'
import { candidateHeadroom } from './headroom.ts'
import type { Candidate, Factors, Input } from './input.ts'
import { adaptive } from './strategies/adaptive.ts'
import { leastLoad } from './strategies/least-load.ts'
import { lowestCost } from './strategies/lowest-cost.ts'
import { lowestLatency } from './strategies/lowest-latency.ts'
import { priority } from './strategies/priority.ts'
import { type Choice, NO_STEPS, type Question, round, type StrategyOf } from './strategies/strategy.ts'
import { weightedRandom } from './strategies/weighted-random.ts'
import { weightedRoundRobin } from './strategies/weighted-round-robin.ts'

/** Adding one = a file in `strategies/` and its line here; the shared suite in `strategies.test.ts` runs over all of them. */
const STRATEGIES: Record<Strategy, StrategyOf> = {
  Adaptive: adaptive,
  WeightedRandom: weightedRandom,
  WeightedRoundRobin: weightedRoundRobin,
  Priority: priority,
  LeastLoad: leastLoad,
  LowestLatency: lowestLatency,
  LowestCost: lowestCost,
}

export interface Target extends Pick<Choice, 'why' | 'steps'> {
  readonly candidate: Candidate
  /** Of a candidate that the strategy has compared. */
  readonly factors: (candidate: Candidate) => Factors | undefined
}

type Asked = Omit<Question, 'parts'> & { readonly strategy: Strategy; readonly sticky: Sticky | undefined }

/**
 * One target of those left, by the rule's strategy. A weight of 0 takes part only when every weight left is 0. Where the upstreams of a
 * target have used most of their quota its weight falls with what is left; where all of its endpoints ramp, to what they get.
 */
export function chooseTarget(asked: Asked): Target | undefined {
  const { candidates, views, strategy } = asked
  const [only] = candidates
  if (only === undefined) return undefined
  if (candidates.length === 1 && strategy !== 'WeightedRoundRobin')
    return { candidate: only, why: 'only target left', steps: NO_STEPS, factors: () => undefined }
  const weighed = weighedOf({ candidates, views })
  const { question, because } = shifted({ ...asked, ...weighed })
  const stuck = stuckTo(question.candidates, asked.sticky, asked.input.facts)
  const choice = stuck === undefined ? STRATEGIES[strategy](question) : { at: stuck, why: 'sticky session', steps: NO_STEPS }
  const candidate = choice && question.candidates[choice.at]
  if (choice === undefined || candidate === undefined) return undefined
  const model = candidate.model
  return {
    candidate: candidates.find((one) => one.model === model) ?? candidate,
    why: because === '' ? choice.why : `${choice.why} (${because})`,
    steps: choice.steps,
    factors: (of) => {
      const at = question.candidates.findIndex((one) => one.model === of.model)
      return at < 0 ? undefined : choice.factors?.(at)
    },
  }
}

type Compared = Pick<Question, 'candidates' | 'views'>

function weighedOf(all: Compared): Compared {
  let [with_, without] = [false, false]
  for (const { weight } of all.candidates) {
    if (weight > 0) with_ = true
    else without = true
  }
  return with_ && without ? kept(all, ({ weight }) => weight > 0) : all
}

const kept = ({ candidates, views }: Compared, keeps: (candidate: Candidate) => boolean): Compared => ({
  candidates: candidates.filter(keeps),
  views: views.filter((_, at) => {
    const candidate = candidates[at]
    return candidate !== undefined && keeps(candidate)
  }),
})

/** What quotas and ramps make of the weights. */
function shifted(asked: Omit<Question, 'parts'>): { readonly question: Question; readonly because: string } {
  const { candidates, views, input } = asked
  if (asked.outlook.all.calm && !asked.outlook.all.hasQuota) return { question: { ...asked, parts: undefined }, because: '' }
  const headrooms = candidates.map((candidate) => candidateHeadroom(candidate, input))
  const parts = candidates.map((candidate, at) => (headrooms[at] ?? 1) * rampShare(candidate, input))
  if (parts.every((part) => part === 1)) return { question: { ...asked, parts: undefined }, because: '' }
  const moved = candidates.map((candidate, at) => ({ ...candidate, weight: round(candidate.weight * (parts[at] ?? 1)) }))
  const because = headrooms.some((one) => one < 1) ? 'quotas shift' : 'a target ramps'
  if (!moved.some(({ weight }) => weight > 0)) return { question: { ...asked, parts: undefined }, because }
  const open = kept({ candidates: moved, views }, ({ weight }) => weight > 0)
  return { question: { ...asked, ...open, parts: parts.filter((_, at) => (moved[at]?.weight ?? 0) > 0) }, because }
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
