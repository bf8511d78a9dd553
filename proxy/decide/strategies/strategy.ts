import type { CursorStep } from '../decision.ts'
import type { Candidate, Factors, Input } from '../input.ts'
import type { ModelView } from '../model-view.ts'
import type { Outlook } from '../outlook.ts'

/**
 * One of `candidates`, all of one tier, that rules have left. Their weights are what quotas and ramps have left of the declared ones, and
 * 0 only where all are 0. Chance comes from `roll` alone.
 */
export interface Question {
  /** Names the round robin's cursor. */
  readonly key: string
  readonly candidates: readonly Candidate[]
  /** Of each candidate's model. */
  readonly views: readonly ModelView[]
  /** Of all models of the rule, be they left or not. */
  readonly outlook: Outlook
  /** 0 to 1: of each candidate, what quotas and ramps have left; undefined = all of all. */
  readonly parts: readonly number[] | undefined
  readonly input: Input
  readonly roll: () => number
}

export interface Choice {
  /** By index of the question's candidates. */
  readonly at: number
  /** In a few words; for clients too. */
  readonly why: string
  readonly steps: readonly CursorStep[]
  /** The numbers it went by, of any candidate by index. */
  readonly factors?: (at: number) => Factors
}

/** Undefined only where there is no candidate. */
export type StrategyOf = (question: Question) => Choice | undefined

export const NO_STEPS: readonly CursorStep[] = []

/** For words: at most three digits behind the point. */
export const round = (weight: number): number => Math.round(weight * 1000) / 1000

/** An index by weight; all weights 0 = all alike. */
export function drawAt(weights: readonly number[], roll: number): number {
  let total = 0
  for (const weight of weights) total += weight
  if (!(total > 0)) return Math.min(weights.length - 1, Math.floor(roll * weights.length))
  let left = roll * total
  let last = 0
  for (let at = 0; at < weights.length; at++) {
    const weight = weights[at] ?? 0
    if (weight <= 0) continue
    left -= weight
    last = at
    if (left < 0) return at
  }
  return last
}

export const weightsOf = (candidates: readonly Candidate[]): readonly number[] => candidates.map(({ weight }) => weight)
