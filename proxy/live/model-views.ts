import type { EndpointView } from '../decide/input.ts'
import { loadsOf, type ModelView, paceOf, standingOf } from '../decide/model-view.ts'
import { BUCKETS, type Pace } from '../decide/pace-view.ts'
import type { CompiledEndpoint, CompiledModel } from '../routing-table/compiled.ts'
import type { BackendDialect, Ref } from '../routing-table/v1.ts'

export interface Seen {
  readonly endpoint: (id: string) => EndpointView
  readonly knowsQuota: (endpoint: CompiledEndpoint) => boolean
}

/**
 * The endpoints of each model at once, kept while nothing changes: a decision among many models looks at each of them, and few have changed
 * since the last one. Whoever changes an endpoint says so: `moved` for its load, `changed` for anything else.
 */
export class ModelViews {
  readonly #seen: Seen
  readonly #kept = new Map<Ref, Kept>()

  constructor(seen: Seen) {
    this.#seen = seen
  }

  of(model: CompiledModel, nowMs: number): ModelView {
    const known = this.#kept.get(model.entry.ref)
    if (known?.about === model) return known.at(nowMs)
    const kept = new Kept(model, this.#seen)
    this.#kept.set(model.entry.ref, kept)
    return kept.at(nowMs)
  }

  /** As last looked at. */
  known(model: Ref): ModelView | undefined {
    return this.#kept.get(model)
  }

  moved(model: Ref): void {
    const kept = this.#kept.get(model)
    if (kept !== undefined) kept.loadKnown = false
  }

  changed(model: Ref): void {
    const kept = this.#kept.get(model)
    if (kept !== undefined) kept.untilMs = Number.NEGATIVE_INFINITY
  }

  paced(model: Ref): void {
    this.#kept.get(model)?.forgetPaces()
  }

  /** Endpoints have come or gone. */
  clear(): void {
    this.#kept.clear()
  }
}

class Kept implements ModelView {
  readonly about: CompiledModel
  readonly #seen: Seen
  readonly #views: readonly EndpointView[]
  readonly #paces: (Pace | undefined)[] = Array.from({ length: BUCKETS }, () => undefined)
  untilMs = Number.NEGATIVE_INFINITY
  loadKnown = false
  calm = false
  hasQuota = true
  limited = true
  can = 0
  windowTokens = 0
  ceilingTokens = 0
  speaks: BackendDialect | undefined
  priced = false
  ahead = 0
  takers = 0
  work = 0

  constructor(model: CompiledModel, seen: Seen) {
    this.about = model
    this.#seen = seen
    this.#views = model.withLastResorts.map(({ id }) => seen.endpoint(id))
  }

  at(nowMs: number): ModelView {
    if (nowMs >= this.untilMs) this.#lookAnew(nowMs)
    else if (!this.loadKnown) this.#count(nowMs)
    return this
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
    this.untilMs = standing.untilMs
    this.forgetPaces()
    this.#count(nowMs)
  }

  #count(nowMs: number): void {
    const { ahead, takers, work } = loadsOf(this.about, this.#views, nowMs)
    this.ahead = ahead
    this.takers = takers
    this.work = work
    this.loadKnown = true
  }

  pace(bucket: number): Pace {
    const known = this.#paces[bucket]
    if (known !== undefined) return known
    const made = paceOf(this.#views, bucket)
    this.#paces[bucket] = made
    return made
  }

  forgetPaces(): void {
    this.#paces.fill(undefined)
  }
}
