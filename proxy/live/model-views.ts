import type { EndpointView } from '../decide/endpoint-view.ts'
import type { Candidate } from '../decide/input.ts'
import { type Loads, loadsOf, type ModelView, paceOf, standingOf, type Takers, takersOf } from '../decide/model-view.ts'
import { type Outlook, outlookOf } from '../decide/outlook.ts'
import { BUCKETS, type Pace } from '../decide/pace-view.ts'
import type { CompiledEndpoint, CompiledModel } from '../routing-table/compiled.ts'
import type { BackendDialect, Ref } from '../routing-table/v1.ts'

export interface Seen {
  readonly endpoint: (id: string) => EndpointView
  readonly knowsQuota: (endpoint: CompiledEndpoint) => boolean
}

const PACE_AGE_MS = 500

/** With the time of the newest decision. */
type Eyes = Seen & { nowMs: number }

interface Seeing {
  readonly outlook: Outlook
  readonly changes: number
  readonly untilMs: number
}

/**
 * The endpoints of each model at once, kept while nothing changes: a decision among many models looks at each of them, and few have changed
 * since the last one. Whoever changes an endpoint says so: `moved` for its load, `told` for its signals, `changed` for anything else.
 */
export class ModelViews {
  readonly #seen: Eyes
  readonly #kept = new Map<Ref, Kept>()
  #outlooks = new WeakMap<readonly Candidate[], Seeing>()
  /** Of anything but loads and paces. */
  #changes = 0

  constructor(seen: Seen) {
    this.#seen = { ...seen, nowMs: 0 }
  }

  of(model: CompiledModel, nowMs: number): ModelView {
    this.#seen.nowMs = nowMs
    return this.#of(model, nowMs)
  }

  /** Of models that are asked for together. */
  outlook(candidates: readonly Candidate[], nowMs: number): Outlook {
    this.#seen.nowMs = nowMs
    const known = this.#outlooks.get(candidates)
    if (known !== undefined && known.changes === this.#changes && nowMs < known.untilMs) return known.outlook
    const views = candidates.map(({ model }) => this.#of(model, nowMs))
    const untilMs = views.reduce((soonest, view) => Math.min(soonest, view.untilMs), Number.POSITIVE_INFINITY)
    const outlook = outlookOf(views)
    this.#outlooks.set(candidates, { outlook, changes: this.#changes, untilMs })
    return outlook
  }

  #of(model: CompiledModel, nowMs: number): Kept {
    const known = this.#kept.get(model.entry.ref)
    const kept = known?.about === model ? known : new Kept(model, this.#seen)
    if (kept !== known) this.#kept.set(model.entry.ref, kept)
    kept.follow(nowMs)
    return kept
  }

  /** As last looked at. */
  known(model: Ref): ModelView | undefined {
    return this.#kept.get(model)
  }

  moved(model: Ref): void {
    const kept = this.#kept.get(model)
    if (kept !== undefined) kept.loadKnown = false
  }

  /** New signals, and nothing else. */
  told(model: Ref): void {
    const kept = this.#kept.get(model)
    if (kept === undefined) return
    kept.loadKnown = false
    kept.takersKnown = false
  }

  changed(model: Ref): void {
    const kept = this.#kept.get(model)
    if (kept === undefined) return
    kept.untilMs = Number.NEGATIVE_INFINITY
    this.#changes++
  }

  /** Endpoints have come or gone. */
  clear(): void {
    this.#kept.clear()
    this.#outlooks = new WeakMap()
  }
}

class Kept implements ModelView {
  readonly about: CompiledModel
  readonly #seen: Eyes
  readonly #views: readonly EndpointView[]
  readonly #paces: ({ readonly pace: Pace; readonly untilMs: number } | undefined)[] = Array.from({ length: BUCKETS }, () => undefined)
  untilMs = Number.NEGATIVE_INFINITY
  loadKnown = false
  takersKnown = false
  calm = false
  hasQuota = true
  limited = true
  can = 0
  windowTokens = 0
  ceilingTokens = 0
  speaks: BackendDialect | undefined
  priced = false
  lastResorts = true
  #takers: Takers = { views: [], others: 0 }
  #loads: Loads = { ahead: 0, takers: 0, work: 0 }

  constructor(model: CompiledModel, seen: Eyes) {
    this.about = model
    this.#seen = seen
    this.#views = model.withLastResorts.map(({ id }) => seen.endpoint(id))
  }

  follow(nowMs: number): void {
    if (nowMs >= this.untilMs) this.#lookAnew(nowMs)
  }

  #lookAnew(nowMs: number): void {
    const standing = standingOf(this.about, this.#views, this.#seen.knowsQuota, nowMs)
    this.calm = standing.calm
    this.hasQuota = standing.hasQuota
    this.limited = standing.limited
    this.can = standing.can
    this.windowTokens = standing.windowTokens
    this.ceilingTokens = standing.ceilingTokens
    this.speaks = standing.speaks
    this.priced = standing.priced
    this.lastResorts = standing.lastResorts
    this.untilMs = standing.untilMs
    this.#forgetPaces()
    this.takersKnown = false
    this.loadKnown = false
  }

  get loads(): Loads {
    if (this.loadKnown) return this.#loads
    if (!this.takersKnown) this.#takers = takersOf(this.about, this.#views, this.#seen.nowMs)
    this.#loads = loadsOf(this.#takers)
    this.takersKnown = true
    this.loadKnown = true
    return this.#loads
  }

  /** Of several endpoints as of a while ago: to compare them all takes longer than a decision may. */
  pace(bucket: number): Pace {
    const { nowMs } = this.#seen
    const known = this.#paces[bucket]
    if (known !== undefined && nowMs < known.untilMs) return known.pace
    const pace = paceOf(this.#views, bucket)
    this.#paces[bucket] = { pace, untilMs: nowMs - (nowMs % PACE_AGE_MS) + PACE_AGE_MS }
    return pace
  }

  #forgetPaces(): void {
    this.#paces.fill(undefined)
  }
}
