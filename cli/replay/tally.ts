import { hashOf } from '../../proxy/decide/affinity/hash.ts'
import type { Decision } from '../../proxy/decide/decision.ts'
import type { Recorded } from './line.ts'
import { Samples } from './samples.ts'

/** Of one answer. */
export interface Times {
  readonly firstTokenMs: number | undefined
  readonly durationMs: number
}

/** Old as it was recorded, new as it would be. */
interface Pair<T> {
  readonly old: T
  readonly new: T
}

export interface Percentiles {
  readonly p50: number | undefined
  readonly p95: number | undefined
}

export interface Report {
  readonly requests: number
  readonly skipped: Readonly<Record<string, number>>
  /** Requests by model, "namespace/name". */
  readonly models: Readonly<Record<string, Pair<number>>>
  /** By rule, "namespace/policy/rule". */
  readonly rules: Readonly<Record<string, Pair<number>>>
  /** By code. */
  readonly refused: Readonly<Record<string, Pair<number>>>
  /** Requests that would go to another model, and those that stay. */
  readonly moved: number
  readonly kept: number
  /**
   * USD of those requests whose amount is known both as recorded and anew; of how many it is not; and the USD of those of which it is known anew
   * alone. Answered requests only.
   */
  readonly cost: { readonly requests: number; readonly usd: Pair<number>; readonly unknown: Pair<number>; readonly newAloneUsd: number }
  /** Of the same requests both times; `unknown`: those that would go to a model of which the log has no answer. */
  readonly latency: { readonly firstTokenMs: Pair<Percentiles>; readonly wholeMs: Pair<Percentiles>; readonly unknown: number }
  /** Requests that could not be decided again, by reason. */
  readonly undecided: Readonly<Record<string, number>>
}

const MAX_NAMES = 1000
const OTHER = '(others)'

/** Counts by name; bounded. */
class Counts {
  readonly #counts = new Map<string, { old: number; new: number }>()

  add(name: string, which: 'old' | 'new'): void {
    const key = this.#counts.has(name) || this.#counts.size < MAX_NAMES ? name : OTHER
    const pair = this.#counts.get(key) ?? { old: 0, new: 0 }
    pair[which]++
    this.#counts.set(key, pair)
  }

  get all(): Readonly<Record<string, Pair<number>>> {
    return Object.fromEntries([...this.#counts].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  }
}

export class Tally {
  readonly #models = new Counts()
  readonly #rules = new Counts()
  readonly #refused = new Counts()
  readonly #undecided = new Map<string, number>()
  readonly #skipped = { other: 0, newer: 0, broken: 0, undecided: 0 }
  readonly #usd = { old: 0, new: 0 }
  readonly #unpriced = { old: 0, new: 0 }
  #newAloneUsd = 0
  #priced = 0
  readonly #first = { old: new Samples(), new: new Samples() }
  readonly #whole = { old: new Samples(), new: new Samples() }
  #requests = 0
  #moved = 0
  #kept = 0
  #slownessUnknown = 0

  skip(why: 'other' | 'newer' | 'broken' | 'undecided'): void {
    this.#skipped[why]++
  }

  was({ model, rule, code }: Recorded): void {
    this.#requests++
    if (model !== undefined) {
      this.#models.add(model, 'old')
      this.#rules.add(rule, 'old')
    }
    if (code !== undefined) this.#refused.add(code, 'old')
  }

  undecided(because: string): void {
    this.#undecided.set(because, (this.#undecided.get(because) ?? 0) + 1)
    this.#rules.add('(not decided)', 'new')
  }

  refused(code: string): void {
    this.#refused.add(code, 'new')
  }

  sent(recorded: Recorded, { model, rule }: Extract<Decision, { kind: 'send' }>, costUsd: number | undefined): void {
    const { ref } = model.entry
    this.#models.add(ref, 'new')
    this.#rules.add(rule.policy === undefined ? 'direct' : rule.key, 'new')
    if (recorded.model === ref) this.#kept++
    else if (recorded.model !== undefined) this.#moved++
    if (recorded.code === undefined) this.#pay(recorded.costUsd, costUsd)
  }

  #pay(old: number | undefined, now: number | undefined): void {
    if (old === undefined) {
      this.#unpriced.old++
      this.#newAloneUsd += now ?? 0
    }
    if (now === undefined) this.#unpriced.new++
    if (old === undefined || now === undefined) return
    this.#priced++
    this.#usd.old += old
    this.#usd.new += now
  }

  /** `now` undefined = not known. */
  timed(old: Times & { readonly requestId: string }, now: Times | undefined): void {
    if (now === undefined) {
      this.#slownessUnknown++
      return
    }
    const chance = hashOf(old.requestId) / 2 ** 53
    this.#whole.old.add(old.durationMs, chance)
    this.#whole.new.add(now.durationMs, chance)
    if (old.firstTokenMs === undefined || now.firstTokenMs === undefined) return
    this.#first.old.add(old.firstTokenMs, chance)
    this.#first.new.add(now.firstTokenMs, chance)
  }

  report(): Report {
    const of = (samples: Samples): Percentiles => ({ p50: samples.percentile(50), p95: samples.percentile(95) })
    const pair = ({ old, new: now }: Pair<Samples>): Pair<Percentiles> => ({ old: of(old), new: of(now) })
    return {
      requests: this.#requests,
      skipped: Object.fromEntries(Object.entries(this.#skipped).filter(([, count]) => count > 0)),
      models: this.#models.all,
      rules: this.#rules.all,
      refused: this.#refused.all,
      moved: this.#moved,
      kept: this.#kept,
      cost: { requests: this.#priced, usd: this.#usd, unknown: this.#unpriced, newAloneUsd: this.#newAloneUsd },
      latency: { firstTokenMs: pair(this.#first), wholeMs: pair(this.#whole), unknown: this.#slownessUnknown },
      undecided: Object.fromEntries(this.#undecided),
    }
  }
}
