/**
 * What is known of endpoints right now: in flight, health, circuits and parkings, signals, round-robin cursors, retry budgets, times to
 * first token, speeds. In: events of the proxy itself (take, and how it ended) and the prober's reports. Out: a `LiveView` for decide, and events
 * of circuits. One writer, this class; everything happens within one turn of the event loop. Touches no socket and no clock: times arrive
 * as values.
 */
import { admits, CLOSED, type Trip } from '../decide/circuit-view.ts'
import type { CursorStep } from '../decide/decision.ts'
import type { Candidate, LiveView } from '../decide/input.ts'
import type { ModelView } from '../decide/model-view.ts'
import type { Outlook } from '../decide/outlook.ts'
import { smoothAdvance } from '../decide/smooth.ts'
import type { Headers } from '../limits/limit-headers.ts'
import { Limits } from '../limits/limits.ts'
import type { ProbeReport, RetestReport } from '../probe/report.ts'
import type { CompiledEndpoint, CompiledModel, CompiledTable } from '../routing-table/compiled.ts'
import { EndpointsById } from '../routing-table/endpoints-by-id.ts'
import type { Capability, Ref } from '../routing-table/v1.ts'
import { Calibrations } from './calibration.ts'
import { isEjected, mayEject, rampingFrom } from './circuit.ts'
import { bookAnswer, bookFailure, type FailureSeen, startAnew } from './circuit-booking.ts'
import { CredentialBook } from './credentials.ts'
import { type EndpointState, forgetPace, fresh, type Mutable, retestedByUs, standsAlike } from './endpoint-state.ts'
import { LatencyBook } from './latency.ts'
import { MeanOutput } from './mean-output.ts'
import { ModelViews } from './model-views.ts'
import { type Answered, PaceBook } from './pace.ts'
import { learnBegin } from './queue-book.ts'
import { RetryBudget } from './retry-budget.ts'
import { Throughput } from './throughput.ts'

/** Counts one request in flight, and books how it ended. Ends once, by the first of the last three calls; those after it change nothing. */
export interface Guard {
  /** It alone finds out whether its endpoint works again. */
  readonly probe: boolean
  /** Its answer has begun: enough for a half-open endpoint, as a stream may take minutes. Does not end it. */
  began(nowMs: number): void
  succeeded(nowMs: number): void
  failed(failure: FailureSeen, nowMs: number, dice: number): void
  /** Without a verdict: the client left, or it was not the endpoint's fault. The place of a probe is free again. */
  release(): void
}

/** For metrics, and for our own probes of open circuits. */
export type CircuitEvent =
  | { readonly kind: 'opened'; readonly endpoint: CompiledEndpoint; readonly trip: Trip | 'half_open'; readonly untilMs: number }
  | { readonly kind: 'probed'; readonly endpoint: CompiledEndpoint; readonly result: 'closed' | 'reopened' | 'inconclusive' }
  /** A request goes to an endpoint that admits none, as nothing else is left. */
  | { readonly kind: 'panic'; readonly endpoint: CompiledEndpoint }

export interface LiveOptions {
  readonly onCircuit?: (event: CircuitEvent) => void
  /** Asks for a probe of an open circuit after so long, with `retested` as the answer. Absent = requests do it. */
  readonly retest?: (endpointId: string, afterMs: number) => void
}

/** Timers of two clocks. */
const EARLY_MS = 50
const NO_GUARD: Guard = { probe: false, began: () => {}, succeeded: () => {}, failed: () => {}, release: () => {} }

export class Live implements LiveView {
  readonly latency = new LatencyBook()
  readonly credentials = new CredentialBook()
  readonly tokens = new Calibrations()
  readonly limits = new Limits(this.tokens)
  readonly #options: LiveOptions
  readonly #endpoints = new Map<string, Mutable>()
  readonly #cursors = new Map<string, Map<string, number>>()
  readonly #budgets = new Map<Ref, RetryBudget>()
  readonly #outputs = new Map<Ref, MeanOutput>()
  readonly #views = new ModelViews({ endpoint: (id) => this.endpoint(id), knowsQuota: (endpoint) => this.limits.knowsQuota(endpoint) })
  readonly #unknown = fresh('', false)
  #applied = new EndpointsById<CompiledEndpoint>()
  #models: CompiledTable['models'] = new Map()

  constructor(options: LiveOptions = {}) {
    this.#options = options
  }

  /**
   * Follows a table swap: new endpoints start fresh, removed ones are forgotten (running requests keep their guard). One that comes to
   * others of its model gets a growing part of its share, so that it is not buried while it is cold; without a time it gets all at once.
   */
  apply(table: CompiledTable, nowMs?: number): void {
    const before = this.#applied
    for (const endpoint of table.endpoints.differingFrom(before)) this.#keep(endpoint, nowMs)
    for (const { id } of before.differingFrom(table.endpoints)) if (!table.endpoints.has(id)) this.#endpoints.delete(id)
    this.#applied = table.endpoints
    this.#models = table.models
    for (const kept of [this.#budgets, this.#outputs]) for (const ref of kept.keys()) if (!table.models.has(ref)) kept.delete(ref)
    const rules = new Set(table.table.policies.flatMap(({ ref, rules }) => rules.map(({ name }) => `${ref}/${name}`)))
    for (const key of this.#cursors.keys()) if (!table.models.has(key) && !rules.has(key)) this.#cursors.delete(key)
    this.latency.keep((ref) => table.models.has(ref))
    this.credentials.keep((id) => table.credentials.has(id))
    this.tokens.apply(table)
    this.limits.apply(table)
    this.#views.clear()
  }

  #keep(endpoint: CompiledEndpoint, nowMs: number | undefined): void {
    const { id, backend, model, lastResort } = endpoint
    const known = this.#endpoints.get(id)
    const joins = nowMs !== undefined && !lastResort && this.#models.get(model)?.endpoints.some((other) => this.#endpoints.has(other.id))
    const state = known ?? fresh(model, !backend.probed, joins === true ? rampingFrom(CLOSED, nowMs) : CLOSED)
    state.outputs = this.#outputsOf(model)
    if (backend.pricing?.perHour !== undefined) state.throughput ??= new Throughput()
    this.#endpoints.set(id, state)
    this.#setRetest(endpoint, state)
  }

  #outputsOf(model: Ref): MeanOutput {
    const outputs = this.#outputs.get(model) ?? new MeanOutput()
    this.#outputs.set(model, outputs)
    return outputs
  }

  #setRetest(endpoint: CompiledEndpoint, state: Mutable): void {
    state.retestedBy = this.#options.retest !== undefined && retestedByUs(endpoint, state) ? 'probe' : 'request'
  }

  endpoint(id: string): EndpointState {
    return this.#endpoints.get(id) ?? this.#unknown
  }

  model(model: CompiledModel, nowMs: number): ModelView {
    return this.#views.of(model, nowMs)
  }

  outlook(candidates: readonly Candidate[], nowMs: number): Outlook {
    return this.#views.outlook(candidates, nowMs)
  }

  cursor(key: string): ReadonlyMap<string, number> | undefined {
    return this.#cursors.get(key)
  }

  /** Uses up the turns that a decision took. */
  advance(steps: readonly CursorStep[]): void {
    for (const { key, chosen, members } of steps) {
      const cursor = this.#cursors.get(key) ?? new Map<string, number>()
      this.#cursors.set(key, cursor)
      if (cursor.size > members.length)
        for (const id of cursor.keys()) if (!members.some((member) => member.id === id) && cursor.size > 64) cursor.delete(id)
      smoothAdvance(cursor, members, chosen)
    }
  }

  /** Of a request that is sent now. Without a time it is only counted, as nobody will say how it ended. `promptTokens` are unread till it began. */
  take(id: string, nowMs?: number, promptTokens = 0): Guard {
    const state = this.#endpoints.get(id)
    if (state === undefined) return NO_GUARD
    state.inFlight++
    if (nowMs !== undefined && state.inFlight === 1) state.throughput?.begins(nowMs)
    const alone = state.unbegun === 0
    state.unbegun++
    state.unreadTokens += promptTokens
    let unbegun = true
    const read = (): void => {
      if (!unbegun) return
      unbegun = false
      state.unbegun--
      state.unreadTokens -= promptTokens
      this.#views.moved(state.model)
    }
    this.#views.moved(state.model)
    const admitted = nowMs === undefined ? 'any' : admits(state, nowMs)
    if (admitted === 'none') this.#tell(id, state, (endpoint) => ({ kind: 'panic', endpoint }))
    let held = true
    const end = (book: () => void): void => {
      if (!held) return
      held = false
      state.inFlight--
      read()
      this.#views.moved(state.model)
      book()
    }
    const guard: Guard = {
      probe: admitted === 'one',
      began: (atMs) => {
        if (unbegun && nowMs !== undefined) learnBegin(state, { promptTokens, waitedMs: atMs - nowMs, alone }, atMs)
        read()
        if (state.probe === guard) this.#answered(id, state, { guard, startedAtMs: nowMs ?? atMs, nowMs: atMs })
      },
      succeeded: (endMs) => end(() => this.#answered(id, state, { guard, startedAtMs: nowMs ?? endMs, nowMs: endMs })),
      failed: (failure, endMs, dice) => end(() => this.#failed(id, state, failure, { guard, nowMs: endMs, dice })),
      release: () => end(() => this.#probed(id, state, guard, 'inconclusive')),
    }
    if (guard.probe) this.#setProbe(state, guard)
    return guard
  }

  /** What our own probe of an open circuit has found. One that began too early was meant for a circuit that has opened again since. */
  retested({ endpointId, tookMs, because, answered }: RetestReport, nowMs: number, dice: number): void {
    const state = this.#endpoints.get(endpointId)
    const startedAtMs = nowMs - tookMs
    if (state?.circuit.state !== 'open' || startedAtMs < state.circuit.untilMs - EARLY_MS) return
    const guard = {}
    this.#setProbe(state, guard)
    if (because === undefined) this.#answered(endpointId, state, { guard, startedAtMs, nowMs })
    else this.#failed(endpointId, state, { class: answered ? 'BAD_RESPONSE' : 'RETRY_SAME', because }, { guard, nowMs, dice })
  }

  #answered(id: string, state: Mutable, { guard, startedAtMs, nowMs }: { guard: object; startedAtMs: number; nowMs: number }): void {
    const before = state.circuit
    const { parked } = state
    bookAnswer(state, startedAtMs, nowMs)
    if (before.state === 'open' && state.circuit.state !== 'open') forgetPace(state)
    if (state.circuit !== before || state.parked !== parked) this.#views.changed(state.model)
    this.#probed(id, state, guard, 'closed')
    if (state.circuit.state !== 'open' && state.parked === undefined) this.#setProbe(state, undefined)
  }

  #failed(id: string, state: Mutable, failure: FailureSeen, at: { guard: object; nowMs: number; dice: number }): void {
    const endpoint = this.#applied.get(id)
    const trip = bookFailure(state, failure, {
      ...at,
      probe: state.probe === at.guard,
      inARow: endpoint?.backend.health.outlier?.consecutiveFailures,
      mayEject: () => endpoint === undefined || this.#mayEject(endpoint),
    })
    this.#views.changed(state.model)
    const reopened = trip === 'half_open' || state.parked?.kind === 'disabled'
    this.#probed(id, state, at.guard, reopened ? 'reopened' : state.circuit.state === 'open' ? 'inconclusive' : 'closed')
    if (trip === undefined || state.circuit.state !== 'open') return
    const { untilMs } = state.circuit
    this.#tell(id, state, (opened) => ({ kind: 'opened', endpoint: opened, trip, untilMs }))
    if (state.retestedBy === 'probe') this.#options.retest?.(id, untilMs - at.nowMs)
  }

  #mayEject({ model, lastResort, backend }: CompiledEndpoint): boolean {
    const endpoints = this.#models.get(model)?.endpoints ?? []
    const ejected = endpoints.filter(({ id }) => isEjected(this.endpoint(id).circuit)).length
    return lastResort || mayEject(ejected, endpoints.length, backend.health.outlier?.maxEjectedPercent)
  }

  /** Whether it takes requests depends on it. */
  #setProbe(state: Mutable, probe: object | undefined): void {
    if (state.probe === probe) return
    setProbe(state, probe)
    this.#views.told(state.model)
  }

  /** The place of a probe is free again, if this was it. */
  #probed(id: string, state: Mutable, guard: object, result: 'closed' | 'reopened' | 'inconclusive'): void {
    if (state.probe !== guard) return
    this.#setProbe(state, undefined)
    this.#tell(id, state, (endpoint) => ({ kind: 'probed', endpoint, result }))
  }

  /** Of an endpoint that has left the table nobody wants to hear. */
  #tell(id: string, state: Mutable, event: (endpoint: CompiledEndpoint) => CircuitEvent): void {
    const endpoint = this.#applied.get(id)
    if (endpoint !== undefined && this.#endpoints.get(id) === state) this.#options.onCircuit?.(event(endpoint))
  }

  /** A 501: this endpoint does not have the capability, whatever its engine usually has. */
  lacks(id: string, capability: Capability): void {
    const state = this.#endpoints.get(id)
    if (state !== undefined && !state.lacking.includes(capability)) {
      state.lacking = [...state.lacking, capability]
      this.#views.changed(state.model)
    }
  }

  /** What an attempt that was answered has shown of its endpoint's speed. Once an attempt. */
  answered(id: string, shown: Answered, nowMs: number): void {
    const state = this.#endpoints.get(id)
    if (state === undefined) return
    this.#pacesOf(state).add(shown, nowMs)
    if (shown.outputTokens > 0) state.outputs.add(shown.outputTokens)
    if (state.throughput !== undefined) {
      state.throughput.answered(shown.outputTokens, nowMs)
      state.outputPerSecond = state.throughput.perSecond
    }
  }

  /** It was waited for so long and gave nothing. */
  silent(id: string, promptTokens: number, waitedMs: number, nowMs: number): void {
    const state = this.#endpoints.get(id)
    if (state === undefined) return
    this.#pacesOf(state).silent(promptTokens, waitedMs, nowMs)
  }

  #pacesOf(state: Mutable): PaceBook {
    const book = state.book ?? new PaceBook()
    state.book = book
    state.paces = book.paces
    return book
  }

  /** Limit headers of an answer: see `Limits.heard`. */
  heard(endpoint: CompiledEndpoint, credential: string | undefined, headers: Headers, nowMs: number): number | undefined {
    const untilMs = this.limits.heard(endpoint, credential, headers, nowMs)
    const known = this.#views.known(endpoint.model)
    if (known?.hasQuota === false && this.limits.knowsQuota(endpoint)) this.#views.changed(endpoint.model)
    return untilMs
  }

  report(report: ProbeReport): void {
    const state = this.#endpoints.get(report.endpointId)
    if (state === undefined) return
    const recovered = state.ready === false && report.healthy === true
    const { ready, settled, contextWindowTokens, capabilities } = state
    if (report.healthy !== undefined) {
      state.ready = report.healthy
      state.notReadyBecause = report.healthy ? undefined : (report.reason ?? 'its health probe fails')
    }
    state.modelMissing = report.modelMissing ?? false
    if (recovered) {
      startAnew(state, report.atMs)
      forgetPace(state)
      this.#setProbe(state, undefined)
      state.lacking = []
    }
    if (report.engine !== undefined) state.settled = true
    state.engine = report.engine ?? state.engine
    state.responseMs = report.responseMs ?? state.responseMs
    state.lastProbeAtMs = report.atMs
    state.contextWindowTokens = report.contextWindowTokens ?? state.contextWindowTokens
    state.capabilities = report.capabilities ?? state.capabilities
    state.adapters = report.adapters ?? state.adapters
    const endpoint = this.#applied.get(report.endpointId)
    if (endpoint !== undefined) this.#setRetest(endpoint, state)
    if (report.signalsAtMs !== undefined) {
      state.signalsAtMs = report.signalsAtMs
      state.running = report.running
      state.waiting = report.waiting
      state.cacheUsed = report.cacheUsed
      state.inFlightAtSignals = state.inFlight
    }
    if (recovered || !standsAlike(state, { ready, settled, contextWindowTokens, capabilities })) this.#views.changed(state.model)
    else this.#views.told(state.model)
  }

  /** The retry budget of a model. */
  budget(model: Ref): RetryBudget {
    const budget = this.#budgets.get(model) ?? new RetryBudget()
    this.#budgets.set(model, budget)
    return budget
  }

  /** Every endpoint's state, for metrics and the admin port. */
  all(): ReadonlyMap<string, EndpointState> {
    return this.#endpoints
  }
}

function setProbe(state: Mutable, probe: object | undefined): void {
  state.probe = probe
  state.probing = probe !== undefined
}
