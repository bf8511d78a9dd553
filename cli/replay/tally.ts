import type { Decision } from '../../proxy/decide/decision.ts'
import type { Recorded } from './line.ts'
import { Samples } from './samples.ts'

interface Latency {
  readonly firstTokenMs: number | undefined
  readonly wholeMs: number
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
  /** Requests that would go to another model. */
  readonly moved: number
  /** USD, and the requests of which the amount is not known. Only requests that were answered and could be decided again. */
  readonly cost: { readonly usd: Pair<number>; readonly unknown: Pair<number> }
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
  readonly #first = { old: new Samples(), new: new Samples() }
  readonly #whole = { old: new Samples(), new: new Samples() }
  #requests = 0
  #moved = 0
  #slownessUnknown = 0

  skip(why: 'other' | 'newer' | 'broken' | 'undecided'): void {
    this.#skipped[why]++
  }

  was({ model, rule, code, firstTokenMs, durationMs }: Recorded, chance: number): void {
    this.#requests++
    if (model !== undefined) this.#models.add(model, 'old')
    this.#rules.add(rule, 'old')
    if (code !== undefined) this.#refused.add(code, 'old')
    if (code !== undefined) return
    if (firstTokenMs !== undefined) this.#first.old.add(firstTokenMs, chance)
    this.#whole.old.add(durationMs, chance)
  }

  undecided(because: string, { code }: Recorded): void {
    this.#undecided.set(because, (this.#undecided.get(because) ?? 0) + 1)
    if (code === undefined) this.#rules.add('(not decided)', 'new')
  }

  refused(_recorded: Recorded, code: string): void {
    this.#refused.add(code, 'new')
  }

  sent(
    recorded: Recorded,
    { model, rule }: Extract<Decision, { kind: 'send' }>,
    { costUsd, latency, chance }: { costUsd: number | undefined; latency: Latency | undefined; chance: number },
  ): void {
    const { ref } = model.entry
    this.#models.add(ref, 'new')
    this.#rules.add(rule.policy === undefined ? 'direct' : rule.key, 'new')
    if (recorded.model !== undefined && recorded.model !== ref) this.#moved++
    if (recorded.code !== undefined) return
    this.#pay('old', recorded.costUsd)
    this.#pay('new', costUsd)
    if (latency === undefined) this.#slownessUnknown++
    else {
      this.#whole.new.add(latency.wholeMs, chance)
      if (latency.firstTokenMs !== undefined) this.#first.new.add(latency.firstTokenMs, chance)
    }
  }

  #pay(which: 'old' | 'new', usd: number | undefined): void {
    if (usd === undefined) this.#unpriced[which]++
    else this.#usd[which] += usd
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
      cost: { usd: this.#usd, unknown: this.#unpriced },
      latency: { firstTokenMs: pair(this.#first), wholeMs: pair(this.#whole), unknown: this.#slownessUnknown },
      undecided: Object.fromEntries(this.#undecided),
    }
  }
}
