/**
 * The default: the declared weight, times how well each target can serve this request now. Each factor is bounded, so that no signal alone
 * shuts a target out. Speeds are averages over seconds; only the requests ahead are those of this moment, and those are our own first of
 * all, so that several proxies that see the same do not all do the same. Requests are drawn by share: nobody goes for the best one.
 */
import type { Candidate, Factors, Input } from '../input.ts'
import { TOKENS_LIKE_A_REQUEST } from '../load.ts'
import type { ModelView } from '../model-view.ts'
import type { Expected } from '../outlook.ts'
import { medianOf, outputTokensOf } from '../pace-view.ts'
import { estimatedUsd } from '../price.ts'
import { workAhead } from './ahead.ts'
import { expectedFor } from './expected.ts'
import { leastOf, spared } from './spared.ts'
import { type Choice, drawAt, NO_STEPS, type Question, round } from './strategy.ts'

/** Of the square root of fastest ÷ own: times hold the load that there was already, and load is counted again beside them. */
const MIN_SPEED = 1 / 8
/** Of the square root of cheapest ÷ own. */
const MIN_CHEAPNESS = 1 / 4
/** Where the window may not hold the answer. */
const CROWDED = 1 / 2
/** Of how sharply requests turn away from targets that have more ahead than the least one, for what each can do. */
const MIN_ROOM = 1 / 100
const LEAST_WEIGHT = 1e-6

export function adaptive(question: Question): Choice {
  const { candidates, views, parts, input, roll } = question
  const expected = expectedFor(question)
  const cheapness = question.outlook.all.priced ? cheapnessOf(candidates, input) : undefined
  const worths: number[] = []
  const raw: number[] = []
  const own = ownWork(candidates, input)
  const fits = question.outlook.all.windowTokens >= tokensOf(input)
  for (let at = 0; at < candidates.length; at++) {
    const [candidate, view] = [candidates[at], views[at]]
    if (candidate === undefined || view === undefined) continue
    const speed = speedOf(expected, at)
    const worth = candidate.weight * speed * (cheapness?.[at] ?? 1) * (fits ? 1 : fitnessOf(view, input))
    const load = workAhead(candidate, view, input) / Math.max(worth, LEAST_WEIGHT) + own / speed
    worths.push(worth)
    raw.push(load)
  }
  const loads = spared(raw, parts)
  const least = leastOf(loads)
  const shares: number[] = []
  for (let at = 0; at < worths.length; at++) shares.push((worths[at] ?? 0) * upOf(candidates[at]) * roomOf(least, loads[at] ?? least))
  const factors = (at: number): Factors => {
    const part = parts?.[at] ?? 1
    return {
      weight: round((candidates[at]?.weight ?? 0) / (part > 0 ? part : 1)),
      availability: round(part * upOf(candidates[at]) * roomOf(least, loads[at] ?? least)),
      speed: round(speedOf(expected, at)),
      cheapness: round(cheapness?.[at] ?? 1),
      fitness: fitnessOf(views[at], input),
      share: round((shares[at] ?? 0) / Math.max(sumOf(shares), LEAST_WEIGHT)),
    }
  }
  const at = drawAt(shares, roll())
  return { at, why: words(factors(at)), steps: NO_STEPS, factors }
}

const words = ({ availability, speed, cheapness, fitness, share }: Factors): string =>
  `adaptive:${less('availability', availability)}${less('speed', speed)}${less('cheapness', cheapness)}${less('fitness', fitness)} share ${share}`

const less = (name: string, value: number | undefined): string => (value === undefined || value === 1 ? '' : ` ${name} ${value}`)

/** 1 where nothing is known of any. */
function speedOf({ times, fastestMs }: Expected, at: number): number {
  const ownMs = times[at] ?? 0
  return ownMs > 0 ? Math.max(MIN_SPEED, Math.sqrt(fastestMs / ownMs)) : 1
}

/** Undefined = no price is known. One whose price is not known is taken to cost what its peers do at the median. */
function cheapnessOf(candidates: readonly Candidate[], { facts, live }: Input): readonly number[] | undefined {
  const costs = candidates.map(({ endpoints: [first] }) => (first && estimatedUsd(first, facts, live)) ?? Number.NaN)
  const usual = medianOf(costs)
  if (Number.isNaN(usual)) return undefined
  const cheapest = leastOf(costs)
  return costs.map((cost) => cheaper(cheapest, Number.isNaN(cost) ? usual : cost))
}

const cheaper = (cheapest: number, cost: number): number => (cost > 0 ? Math.max(MIN_CHEAPNESS, Math.sqrt(cheapest / cost)) : 1)

const tokensOf = ({ facts }: Input): number => facts.promptTokens + outputTokensOf(facts.maxOutputTokens)

const fitnessOf = (view: ModelView | undefined, input: Input): number =>
  view !== undefined && view.windowTokens < tokensOf(input) ? CROWDED : 1

/** What this request would add, for the usual weight. */
function ownWork(candidates: readonly Candidate[], { facts }: Input): number {
  let total = 0
  for (const { weight } of candidates) total += weight
  return (1 + facts.promptTokens / TOKENS_LIKE_A_REQUEST) / Math.max(total / candidates.length, LEAST_WEIGHT)
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0)

/** The part of its endpoints that may take this request. */
function upOf(candidate: Candidate | undefined): number {
  const all = candidate?.model.endpoints.length ?? 0
  return candidate === undefined || all === 0 ? 1 : Math.min(1, candidate.endpoints.length / all)
}

/** To the power of 16, squared out: it is asked for every target of every request. */
function roomOf(least: number, load: number): number {
  if (load <= least) return 1
  const square = (least / load) ** 2
  const fourth = square * square
  const eighth = fourth * fourth
  return Math.max(MIN_ROOM, eighth * eighth)
}
