/** From an outcome to a score, in the catalogue's words. */

import type { Fault } from './sixteen.ts'
import { answeredCleanly } from './verdicts.ts'
import { type Outcome, wholeAnswer } from './wall.ts'

/** `pass`: rescued, all rules kept. `partial`: an advisory one missed. `safe`: not rescued, but bounded and clean. `fail`: all else. */
export type Score = 'pass' | 'partial' | 'safe' | 'fail'

export interface Scored {
  readonly score: Score
  /** Why it is no pass. */
  readonly because: string
}

export async function scoreOf(fault: Fault, outcome: Outcome): Promise<Scored> {
  const broken = (await complaint(() => bounded(fault, outcome))) ?? (await complaint(() => fault.conduct?.(outcome)))
  if (broken !== undefined) return { score: 'fail', because: broken }
  const missed = await complaint(() => (fault.ideal ?? wholeAnswer)(outcome))
  if (missed !== undefined) return notRescued(outcome, missed)
  const advice = await complaint(() => fault.advice?.(outcome))
  return advice === undefined ? { score: 'pass', because: '' } : { score: 'partial', because: advice }
}

async function notRescued(outcome: Outcome, because: string): Promise<Scored> {
  const unclean = await complaint(() => answeredCleanly(outcome))
  return unclean === undefined ? { score: 'safe', because } : { score: 'fail', because: unclean }
}

function bounded({ withinS }: Fault, { got }: Outcome): void {
  if (got.tookMs > withinS * 1000) throw new Error(`done only after ${got.tookMs} ms`)
}

async function complaint(judge: () => void | Promise<void>): Promise<string | undefined> {
  try {
    await judge()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
