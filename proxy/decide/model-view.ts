import type { CompiledEndpoint, CompiledModel } from '../routing-table/compiled.ts'
import type { BackendDialect } from '../routing-table/v1.ts'
import { capabilitiesIn, capabilitySet, EVERY_CAPABILITY } from './capability-set.ts'
import { admits } from './circuit-view.ts'
import type { EndpointView } from './endpoint-view.ts'
import { isFresh, othersIn, staleAtMs, workOf } from './load.ts'
import { answerMs, NO_PACE, nth, type Pace, USUAL_OUTPUT_TOKENS } from './pace-view.ts'

/** What holds of every endpoint of a model, or of several models: then none of them has to be asked. It holds of any part of them too. */
export interface Standing {
  /** Every endpoint takes requests, as many as its weight says. */
  readonly calm: boolean
  /** Something of an upstream's quota is known. */
  readonly hasQuota: boolean
  /** The model has limits of its own. */
  readonly limited: boolean
  /** Capabilities that every endpoint has. */
  readonly can: number
  /** The least window of any endpoint. */
  readonly windowTokens: number
  /** The least ceiling that refuses a request for more output. */
  readonly ceilingTokens: number
  /** What all of them speak; undefined = not all the same. */
  readonly speaks: BackendDialect | undefined
  /** Any of them has a price, or an hour of it has. */
  readonly priced: boolean
  /** One of them is a Service's own address. */
  readonly lastResorts: boolean
}

/** All endpoints of a model at once, for decisions among many models. */
export interface ModelView extends Standing {
  readonly loads: Loads
  /** How fast its better endpoints answer, by bucket. */
  pace(bucket: number): Pace
}

export interface Loads {
  /** Endpoints that take requests. */
  readonly takers: number
  /** Requests ahead of a new one, for each of them. */
  readonly ahead: number
  /** The same with unread prompts, and with less of what others do: see `workIn`. */
  readonly work: number
}

/** Looked at anew at each full second even where nothing has been said to have changed: all models at once, as a rule asks for them all. */
const MAX_AGE_MS = 1000

/** `views`: of the model's endpoints with its last resorts, in their order. It holds until `untilMs` if nothing happens. */
export function standingOf(
  { withLastResorts, endpoints, entry }: CompiledModel,
  views: readonly EndpointView[],
  knowsQuota: (endpoint: CompiledEndpoint) => boolean,
  nowMs: number,
): Standing & { readonly untilMs: number } {
  let [calm, hasQuota, can, untilMs] = [true, false, EVERY_CAPABILITY, nowMs - (nowMs % MAX_AGE_MS) + MAX_AGE_MS]
  let [windowTokens, ceilingTokens] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (const [at, endpoint] of withLastResorts.entries()) {
    const view = views[at]
    if (view === undefined) continue
    calm &&= view.ready !== false && isUntroubled(view)
    hasQuota ||= knowsQuota(endpoint)
    can &= surely(endpoint, view)
    windowTokens = Math.min(windowTokens, endpoint.backend.contextWindowTokens ?? view.contextWindowTokens ?? Number.POSITIVE_INFINITY)
    ceilingTokens = Math.min(ceilingTokens, ceilingOf(endpoint))
    if (view.coolUntilMs > nowMs) untilMs = Math.min(untilMs, view.coolUntilMs)
    if (isFresh(endpoint, view, nowMs)) untilMs = Math.min(untilMs, staleAtMs(endpoint, view))
  }
  return {
    calm,
    hasQuota,
    limited: entry.limits !== undefined,
    can,
    windowTokens,
    ceilingTokens,
    speaks: spokenBy(withLastResorts),
    priced: withLastResorts.some(isPriced),
    lastResorts: endpoints.length < withLastResorts.length,
    untilMs,
  }
}

const isUntroubled = ({ circuit, parked, probing, coolUntilMs }: EndpointView): boolean =>
  circuit.state === 'closed' && parked === undefined && !probing && coolUntilMs === 0

function ceilingOf({ backend: { maxOutput } }: CompiledEndpoint): number {
  return maxOutput?.onExceed === 'Refuse' ? maxOutput.tokens : Number.POSITIVE_INFINITY
}

const isPriced = ({ backend }: CompiledEndpoint): boolean => backend.pricing !== undefined

function spokenBy([first, ...others]: readonly CompiledEndpoint[]): BackendDialect | undefined {
  const spoken = first && dialectOf(first)
  return others.every((other) => dialectOf(other) === spoken) ? spoken : undefined
}

export const dialectOf = ({ backend }: CompiledEndpoint): BackendDialect => backend.dialect ?? 'OpenAI'

function surely({ backend }: CompiledEndpoint, view: EndpointView): number {
  const can = capabilitiesIn(backend, view)
  return (can === undefined ? EVERY_CAPABILITY : capabilitySet(can)) & ~capabilitySet(view.lacking)
}

const takes = (view: EndpointView, nowMs: number): boolean => view.ready !== false && admits(view, nowMs) !== 'none'

/** Endpoints that take requests, with what others have there: changes by what is told of them, not with every request of ours. */
export interface Takers {
  readonly views: readonly EndpointView[]
  readonly others: number
}

export function takersOf({ withLastResorts }: CompiledModel, views: readonly EndpointView[], nowMs: number): Takers {
  const taking: EndpointView[] = []
  let others = 0
  for (const [at, endpoint] of withLastResorts.entries()) {
    const view = views[at]
    if (view === undefined || endpoint.lastResort || !takes(view, nowMs)) continue
    taking.push(view)
    others += othersIn(endpoint, view, nowMs)
  }
  return { views: taking, others }
}

export function loadsOf({ views, others }: Takers): Loads {
  let [inFlight, unreadTokens] = [0, 0]
  for (const view of views) {
    inFlight += view.inFlight
    unreadTokens += view.unreadTokens
  }
  const takers = views.length
  const each = 1 / Math.max(1, takers)
  return { takers, ahead: (inFlight + others) * each, work: workOf(inFlight, unreadTokens, others) * each }
}

/** Requests go to the better ones of a model's endpoints: its pace is that of the last one of the best quarter. */
export function paceOf(views: readonly EndpointView[], bucket: number): Pace {
  if (views.length === 1) return views[0]?.paces[bucket] ?? NO_PACE
  const known: Pace[] = []
  const times: number[] = []
  for (const { ready, paces } of views) {
    const pace = paces[bucket]
    if (pace === undefined || ready === false || pace.weight === 0) continue
    known.push(pace)
    times.push(answerMs(pace, USUAL_OUTPUT_TOKENS))
  }
  if (known.length === 0) return NO_PACE
  const quarterMs = nth([...times], (known.length - 1) >> 2)
  return known[times.indexOf(quarterMs)] ?? NO_PACE
}

/** Of several models: what holds of all of them. */
export function together(views: readonly Standing[]): Standing {
  let [calm, hasQuota, limited, can] = [true, false, false, EVERY_CAPABILITY]
  let [priced, lastResorts] = [false, false]
  let [windowTokens, ceilingTokens] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  let speaks = views[0]?.speaks
  for (const view of views) {
    calm &&= view.calm
    hasQuota ||= view.hasQuota
    limited ||= view.limited
    priced ||= view.priced
    lastResorts ||= view.lastResorts
    can &= view.can
    if (view.windowTokens < windowTokens) windowTokens = view.windowTokens
    if (view.ceilingTokens < ceilingTokens) ceilingTokens = view.ceilingTokens
    if (view.speaks !== speaks) speaks = undefined
  }
  return { calm, hasQuota, limited, can, windowTokens, ceilingTokens, speaks, priced, lastResorts }
}
