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

/** What quotas and ramps leave of each: of its weight, or of the draws that it takes part in. */
function shifted(asked: Asked): { readonly question: Question; readonly because: string } {
  const whole = { question: { ...asked, parts: undefined }, because: '' }
  if (asked.outlook.all.calm && !asked.outlook.all.hasQuota) return whole
  const headrooms = asked.candidates.map((candidate) => candidateHeadroom(candidate, asked.input))
  const ramps = asked.candidates.map((candidate) => rampShare(candidate, asked.input))
  const because = headrooms.some((one) => one < 1) ? 'quotas shift' : 'a target ramps'
  if (headrooms.every((one) => one === 1) && ramps.every((one) => one === 1)) return whole
  const compares = COMPARING.includes(asked.strategy)
  const parts = headrooms.map((headroom, at) => headroom * (compares ? 1 : (ramps[at] ?? 1)))
  const takesPart = ramps.map((ramp) => !compares || ramp === 1 || asked.roll() < ramp)
  const moved = asked.candidates.map((one, at) => ({ ...one, weight: round(one.weight * (parts[at] ?? 1)) }))
  const open = moved.flatMap(({ weight }, at) => (weight > 0 && takesPart[at] === true ? [at] : []))
  if (open.length === 0) return { ...whole, because }
  const pick = <T>(list: readonly T[]): readonly T[] => list.filter((_, at) => open.includes(at))
  const left = { candidates: pick(moved), views: pick(asked.views), parts: pick(compares ? ramps : parts) }
  return { question: { ...asked, ...left }, because }
}

/** They go for the best one, whatever its weight: one that ramps takes part in its percentage of the draws. */
const COMPARING: readonly Strategy[] = ['LeastLoad', 'LowestLatency', 'LowestCost']

/** 0 to 1: that of the endpoint that has come farthest. */
function rampShare({ endpoints }: Candidate, { live, nowMs }: Input): number {
  let most = 0
  for (const { id } of endpoints) {
    most = Math.max(most, rampPercent(live.endpoint(id).circuit, nowMs))
    if (most === 100) return 1
  }
  return endpoints.length === 0 ? 1 : most / 100
}
