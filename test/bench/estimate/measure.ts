/** Runs calibrations over counted texts. In: prompts with their true counts. Out: by how much estimates are off. PURE. */
import { freshCalibration, learnTokens, tokensBy } from '../../../proxy/estimate/calibration.ts'
import type { Prompt } from '../../../proxy/estimate/prompt.ts'
import type { Sample } from './corpus.ts'
import type { Kind } from './sources.ts'

export interface Counted {
  readonly kind: Kind
  readonly part: Sample['part']
  readonly characters: number
  readonly prompt: Prompt
  readonly tokens: number
}

/** Of one estimate: the part of the true count by which it is off, without its sign. */
export interface Off {
  readonly kind: Kind
  readonly characters: number
  readonly off: number
}

/** Different orders of what is learnt, pooled. */
const SEEDS = 10

/** Learns `answers` of the development texts that fit, then estimates all held-out ones that fit, and learns none of those. */
export function offAfter(answers: number, texts: readonly Counted[], kind: Kind | undefined): readonly Off[] {
  const fits = (one: Counted): boolean => kind === undefined || one.kind === kind
  const [develop, held] = (['develop', 'held out'] as const).map((part) => texts.filter((one) => one.part === part && fits(one)))
  const found: Off[] = []
  for (let seed = 1; seed <= (answers === 0 ? 1 : SEEDS); seed++) {
    const calibration = freshCalibration()
    for (const { prompt, tokens } of shuffled(develop ?? [], seed).slice(0, answers)) learnTokens(calibration, prompt, tokens)
    for (const { prompt, tokens, characters, kind: own } of held ?? [])
      found.push({ kind: own, characters, off: Math.abs(tokensBy(calibration, prompt) / tokens - 1) })
  }
  return found
}

function shuffled<T>(list: readonly T[], seed: number): T[] {
  const dice = diceOf(seed)
  return list
    .map((value) => ({ value, order: dice() }))
    .sort((a, b) => a.order - b.order)
    .map(({ value }) => value)
}

/** Mulberry32. */
function diceOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** In percent. */
export function quantile(offs: readonly Off[], part: number): number {
  const sorted = offs.map(({ off }) => off).sort((a, b) => a - b)
  return 100 * (sorted[Math.ceil(part * sorted.length) - 1] ?? Number.NaN)
}
