import type { CursorStep } from '../decision.ts'
import type { Candidate, Input } from '../input.ts'

/**
 * One of `candidates`, all of one tier, that rules have left. Their weights are what quotas and ramps have left of the declared ones, and
 * 0 only where all are 0. Chance comes from `roll` alone.
 */
export interface Question {
  /** Names the round robin's cursor. */
  readonly key: string
  readonly candidates: readonly Candidate[]
  readonly input: Input
  readonly roll: () => number
}

export interface Choice {
  readonly candidate: Candidate
  /** In a few words; for clients too. */
  readonly why: string
  readonly steps: readonly CursorStep[]
}

/** Undefined only where there is no candidate. */
export type StrategyOf = (question: Question) => Choice | undefined

export const NO_STEPS: readonly CursorStep[] = []

/** For words: at most three digits behind the point. */
export const round = (weight: number): number => Math.round(weight * 1000) / 1000
