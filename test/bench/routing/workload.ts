/** What arrives when: drawn from a seed alone, so that every strategy gets the same. PURE. */

import { capacityOf, type Job } from './engine-model.ts'
import { type Arrivals, BURSTS, ENGINE, type Lengths, OUTPUTS, PROMPTS, SPEEDS } from './scenario.ts'

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

const jobOf = (dice: Dice): Job => ({ promptTokens: lengthOf(PROMPTS, dice), outputTokens: lengthOf(OUTPUTS, dice) })

/** Requests a second that all engines together can do. */
export function totalCapacity(): number {
  const dice = diceOf(0, 'capacity')
  const jobs = Array.from({ length: 10_000 }, () => jobOf(dice))
  return capacityOf(ENGINE, jobs) * SPEEDS.reduce((sum, speed) => sum + speed, 0)
}

/** In order of time. */
export function requestsOf(arrivals: Arrivals, perSecond: number, seconds: number, seed: number): readonly Request[] {
  const [when, what] = [diceOf(seed, `${arrivals} times`), diceOf(seed, 'sizes')]
  const rates = arrivals === 'Poisson' ? constant() : bursts(when)
  const requests: Request[] = []
  let [atSeconds, rate] = [0, rates(0)]
  for (;;) {
    let left = exponential(when) / perSecond // arrivals of rate 1 in stretched time
    while (left > rate.times * (rate.untilSeconds - atSeconds)) {
      left -= rate.times * (rate.untilSeconds - atSeconds)
      atSeconds = rate.untilSeconds
      rate = rates(atSeconds)
    }
    atSeconds += left / rate.times
    if (atSeconds >= seconds) return requests
    requests.push({ ...jobOf(what), atMs: atSeconds * 1000, proxy: what() })
  }
}

interface Rate {
  readonly times: number
  readonly untilSeconds: number
}

const constant = (): ((fromSeconds: number) => Rate) => () => ({ times: 1, untilSeconds: Number.POSITIVE_INFINITY })

function bursts(dice: Dice): (fromSeconds: number) => Rate {
  const { rate, seconds, restRate, restSeconds } = BURSTS
  let isBurst = dice() >= seconds / (seconds + restSeconds) // the first rate turns it over
  return (fromSeconds) => {
    isBurst = !isBurst
    const times = isBurst ? rate : restRate
    return { times, untilSeconds: fromSeconds + exponential(dice) * (isBurst ? seconds : restSeconds) }
  }
}
