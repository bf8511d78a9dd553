/**
 * The default: the declared weight, times how well each target can serve this request now. Each factor is bounded, so that no signal alone
 * shuts a target out. Speeds are averages over seconds; only the requests ahead are those of this moment, and those are our own first of
 * all, so that several proxies that see the same do not all do the same. Requests are drawn by share: nobody goes for the best one.
 */
import type { Candidate, Factors, Input } from '../input.ts'
import { TOKENS_LIKE_A_REQUEST } from '../load.ts'
import type { ModelView } from '../model-view.ts'
import { medianOf, outputTokensOf } from '../pace-view.ts'
import { estimatedUsd } from '../price.ts'
import { workAhead } from './ahead.ts'
import { expectedMs } from './expected.ts'
import { type Choice, drawAt, NO_STEPS, type Question, round } from './strategy.ts'

/** Of the square root of fastest ÷ own: times hold the load that there was already, and load is counted again beside them. */
const MIN_SPEED = 1 / 8
/** Of the square root of cheapest ÷ own. */
const MIN_CHEAPNESS = 1 / 4
/** Where the window may not hold the answer. */
const CROWDED = 1 / 2
/** How sharply requests turn away from targets that have more ahead than the least one, for what each can do. */
const SHARPNESS = 16
const MIN_ROOM = 1 / 1000
const LEAST_WEIGHT = 1e-6

export function adaptive({ candidates, views, parts, input, roll }: Question): Choice {
  const speeds = speedsOf(views, input)
  const cheapness = cheapnessOf(candidates, input)
  const worths = candidates.map(({ weight }, at) => weight * (speeds[at] ?? 1) * (cheapness?.[at] ?? 1) * fitnessOf(views[at], input))
  const loads = loadsOf(candidates, views, { input, speeds, worths })
  const least = Math.min(...loads)
  const shares = worths.map((worth, at) => worth * upOf(candidates[at]) * roomOf(least, loads[at] ?? least))
  const factors = (at: number): Factors => {
    const part = parts?.[at] ?? 1
    return {
      weight: round((candidates[at]?.weight ?? 0) / (part > 0 ? part : 1)),
      availability: round(part * upOf(candidates[at]) * roomOf(least, loads[at] ?? least)),
      speed: round(speeds[at] ?? 1),
      cheapness: round(cheapness?.[at] ?? 1),
      fitness: fitnessOf(views[at], input),
      share: round((shares[at] ?? 0) / Math.max(sumOf(shares), LEAST_WEIGHT)),
    }
  }
  const at = drawAt(shares, roll())
  return { at, why: words(factors(at)), steps: NO_STEPS, factors }
}

function words({ availability, speed, cheapness, fitness, share }: Factors): string {
  const less = Object.entries({ availability, speed, cheapness, fitness }).flatMap(([name, value]) =>
    value === 1 ? [] : [`${name} ${value}`],
  )
  return ['adaptive:', ...less, `share ${share}`].join(' ')
}

function speedsOf(views: readonly ModelView[], input: Input): readonly number[] {
  const expected = expectedMs(views, input)
  const fastest = Math.min(...expected)
  return expected.map((ownMs) => (ownMs > 0 ? Math.max(MIN_SPEED, Math.sqrt(fastest / ownMs)) : 1))
}

/** Undefined = no price is known. One whose price is not known is taken to cost what its peers do at the median. */
function cheapnessOf(candidates: readonly Candidate[], { facts, live }: Input): readonly number[] | undefined {
  if (!candidates.some(({ endpoints: [first] }) => first?.backend.pricing !== undefined)) return undefined
  const costs = candidates.map(({ endpoints: [first] }) => (first && estimatedUsd(first, facts, live)) ?? Number.NaN)
  const usual = medianOf(costs)
  if (Number.isNaN(usual)) return undefined
  const cheapest = Math.min(...costs.filter((cost) => !Number.isNaN(cost)))
  return costs.map((cost) => cheaper(cheapest, Number.isNaN(cost) ? usual : cost))
}

const cheaper = (cheapest: number, cost: number): number => (cost > 0 ? Math.max(MIN_CHEAPNESS, Math.sqrt(cheapest / cost)) : 1)

const fitnessOf = (view: ModelView | undefined, { facts }: Input): number =>
  view !== undefined && view.windowTokens < facts.promptTokens + outputTokensOf(facts.maxOutputTokens) ? CROWDED : 1

/** What there is ahead for what each can do, and what this request would add. */
function loadsOf(
  candidates: readonly Candidate[],
  views: readonly ModelView[],
  { input, speeds, worths }: { input: Input; speeds: readonly number[]; worths: readonly number[] },
): readonly number[] {
  const own = (1 + input.facts.promptTokens / TOKENS_LIKE_A_REQUEST) / Math.max(meanWeight(candidates), LEAST_WEIGHT)
  return candidates.map((candidate, at) => {
    const view = views[at]
    const work = view === undefined ? 0 : workAhead(candidate, view, input)
    return work / Math.max(worths[at] ?? 0, LEAST_WEIGHT) + own / (speeds[at] ?? 1)
  })
}

const meanWeight = (candidates: readonly Candidate[]): number => candidates.reduce((sum, { weight }) => sum + weight, 0) / candidates.length

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0)

/** The part of its endpoints that may take this request. */
function upOf(candidate: Candidate | undefined): number {
  const all = candidate?.model.endpoints.length ?? 0
  return candidate === undefined || all === 0 ? 1 : Math.min(1, candidate.endpoints.length / all)
}

const roomOf = (least: number, load: number): number => (load > least ? Math.max(MIN_ROOM, (least / load) ** SHARPNESS) : 1)
