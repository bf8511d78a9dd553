/** What arrives when: drawn from a seed alone, so that every strategy gets the same. PURE. */

import { capacityOf, type Job } from './engine-model.ts'
import { type Arrivals, ENGINE, type Lengths, OUTPUTS, PROMPTS, SPEEDS, SURGES, VARIATION } from './scenario.ts'

export type Dice = () => number

/** A run of numbers in [0, 1) that a seed and a name fix (mulberry32). */
export function diceOf(seed: number, name: string): Dice {
  let state = Math.imul(seed + 1, 0x9e37_79b1)
  for (let at = 0; at < name.length; at++) state = Math.imul(state ^ name.charCodeAt(at), 0x0100_0193)
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

export interface Request extends Job {
  readonly atMs: number
  /** 0 to 1: which proxy its client is connected to. */
  readonly proxy: number
}

const exponential = (dice: Dice): number => -Math.log(1 - dice())
const normal = (dice: Dice): number => Math.sqrt(2 * exponential(dice)) * Math.cos(2 * Math.PI * dice())
const lengthOf = ({ median, sigma, least, most }: Lengths, dice: Dice): number =>
  Math.min(most, Math.max(least, Math.round(median * Math.exp(sigma * normal(dice)))))

export const jobsOf =
  (dice: Dice, prompts: Lengths, outputs: Lengths): (() => Job) =>
  () => ({ promptTokens: lengthOf(prompts, dice), outputTokens: lengthOf(outputs, dice) })

/** Requests a second that all engines together can do. */
export function totalCapacity(): number {
  const jobs = Array.from({ length: 10_000 }, jobsOf(diceOf(0, 'capacity'), PROMPTS, OUTPUTS))
  return capacityOf(ENGINE, jobs) * SPEEDS.reduce((sum, speed) => sum + speed, 0)
}

/**
 * In order of time; exactly as many as the rate says, so that a load of 85 % is one in each run, and not 80 % in one and 90 % in another:
 * gaps are drawn, and then fill the time.
 */
export function requestsOf(arrivals: Arrivals, perSecond: number, seconds: number, seed: number): readonly Request[] {
  const [when, what] = [diceOf(seed, `${arrivals} times`), diceOf(seed, 'sizes')]
  const job = jobsOf(what, PROMPTS, OUTPUTS)
  const gap = gapsOf(arrivals, perSecond, when)
  const gaps = Array.from({ length: Math.round(perSecond * seconds) + 1 }, gap)
  const scaleMs = (seconds * 1000) / gaps.reduce((sum, one) => sum + one, 0)
  let atMs = 0
  return gaps.slice(1).map((_, at) => {
    atMs += (gaps[at] ?? 0) * scaleMs
    return { ...job(), atMs, proxy: what() }
  })
}

/** Times between arrivals, in units of their mean. */
function gapsOf(arrivals: Arrivals, perSecond: number, dice: Dice): () => number {
  if (arrivals === 'Poisson') return () => exponential(dice)
  if (arrivals === 'surges') return surges(perSecond, dice)
  const shape = 1 / VARIATION ** 2
  return () => gamma(shape, dice) / shape
}

/** Of scale 1 (Marsaglia and Tsang's). */
function gamma(shape: number, dice: Dice): number {
  if (shape < 1) return gamma(shape + 1, dice) * dice() ** (1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = normal(dice)
    const v = (1 + c * x) ** 3
    if (v > 0 && exponential(dice) > d * v - x ** 2 / 2 - d - d * Math.log(v)) return d * v
  }
}

/** An arrival of rate 1 in time that passes at the rate of its moment. */
function surges(perSecond: number, dice: Dice): () => number {
  const { rate, seconds, restRate, restSeconds } = SURGES
  let surging = dice() < seconds / (seconds + restSeconds)
  let left = 0
  const turn = (): void => {
    left = exponential(dice) * (surging ? seconds : restSeconds) * perSecond
  }
  turn()
  return () => {
    let [gap, due] = [0, exponential(dice)]
    for (;;) {
      const now = surging ? rate : restRate
      if (due <= left * now) {
        left -= due / now
        return gap + due / now
      }
      due -= left * now
      gap += left
      surging = !surging
      turn()
    }
  }
}
