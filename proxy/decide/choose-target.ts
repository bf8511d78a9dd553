import type { Strategy } from '../routing-table/v1.ts'
import { rampPercent } from './circuit-view.ts'
import type { CursorStep } from './decision.ts'
import { byWeight } from './dice.ts'
import { bestHeadroom, candidateHeadroom, spill } from './headroom.ts'
import type { Candidate, Input } from './input.ts'
import { loadOf } from './load.ts'
import { smoothNext } from './smooth.ts'

interface Choice {
  readonly candidate: Candidate
  readonly why: string
  readonly steps: readonly CursorStep[]
}

interface Question {
  readonly strategy: Strategy
  readonly key: string
  readonly candidates: readonly Candidate[]
  readonly input: Input
  readonly roll: () => number
}

const NO_STEPS: readonly CursorStep[] = []

/**
 * One target of those left, by the rule's strategy. A weight of 0 takes part only when every weight left is 0. Where the upstreams of a
 * target have used most of their quota its weight falls with what is left; where all of its endpoints ramp, to what they get.
 */
export function chooseTarget(question: Question): Choice | undefined {
  const { candidates, input } = question
  const [only] = candidates
  if (only === undefined) return undefined
  if (candidates.length === 1 && question.strategy !== 'WeightedRoundRobin')
    return { candidate: only, why: 'only target left', steps: NO_STEPS }
  const weighed = withWeight(candidates)
  const headrooms = weighed.map((candidate) => candidateHeadroom(candidate, input))
  const ramps = weighed.map((candidate) => rampShare(candidate, input))
  const quotas = headrooms.some((one) => one < 1)
  if (!quotas && ramps.every((one) => one === 1)) return CHOOSERS[question.strategy]({ ...question, candidates: weighed })
  const shifted = weighed.map((candidate, at) => ({
    ...candidate,
    weight: round(candidate.weight * (headrooms[at] ?? 1) * (ramps[at] ?? 1)),
  }))
  const open = shifted.filter(({ weight }) => weight > 0)
  const choice = CHOOSERS[question.strategy]({ ...question, candidates: open.length > 0 ? open : weighed })
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

const round = (weight: number): number => Math.round(weight * 1000) / 1000

function withWeight(candidates: readonly Candidate[]): readonly Candidate[] {
  const weighted = candidates.filter(({ weight }) => weight > 0)
  return weighted.length > 0 ? weighted : candidates
}

const CHOOSERS: Record<Strategy, (question: Question) => Choice | undefined> = {
  WeightedRandom: ({ candidates, roll }) => weighted(candidates, roll, 'weight'),
  WeightedRoundRobin: roundRobin,
  Priority: ({ candidates, input, roll }) => {
    const priorities = [...new Set(candidates.map(({ model }) => model.entry.priority))].sort((a, b) => a - b)
    const inOrder = priorities.map((priority) => candidates.filter(({ model }) => model.entry.priority === priority))
    const group = spill(inOrder, (one) => bestHeadroom(one, input), roll) ?? candidates
    return weighted(group, roll, `priority ${group[0]?.model.entry.priority}`)
  },
  LeastLoad: leastLoad,
  Adaptive: leastLoad,
  LowestLatency: leastLoad,
  LowestCost: leastLoad,
}

function weighted(candidates: readonly Candidate[], roll: () => number, why: string): Choice | undefined {
  const candidate = byWeight(candidates, ({ weight }) => weight, roll())
  if (candidate === undefined) return undefined
  const total = round(candidates.reduce((sum, { weight }) => sum + weight, 0))
  return { candidate, why: `${why} ${candidate.weight}/${total}`, steps: NO_STEPS }
}

function roundRobin({ candidates, key, input }: Question): Choice | undefined {
  const members = candidates.map(({ model, weight }) => ({ id: model.entry.ref, weight }))
  const chosen = smoothNext(members, input.live.cursor(key))
  const candidate = candidates.find(({ model }) => model.entry.ref === chosen?.id)
  if (candidate === undefined) return undefined
  const total = round(members.reduce((sum, { weight }) => sum + weight, 0))
  return { candidate, why: `round robin ${candidate.weight}/${total}`, steps: [{ key, chosen: candidate.model.entry.ref, members }] }
}

/** Least load per endpoint and weight; ties by weight at random. */
function leastLoad({ candidates, input, roll }: Question): Choice | undefined {
  const loads = candidates.map((candidate) => {
    const load = candidate.endpoints.reduce((sum, endpoint) => sum + loadOf(endpoint, input), 0)
    return load / Math.max(candidate.weight, 1e-6) / Math.max(candidate.endpoints.length, 1)
  })
  const least = Math.min(...loads)
  const tied = candidates.filter((_, index) => loads[index] === least)
  const candidate = byWeight(tied, ({ weight }) => weight, roll())
  return candidate === undefined ? undefined : { candidate, why: `least load ${least.toFixed(2)}`, steps: NO_STEPS }
}
