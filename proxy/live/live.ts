/**
 * What is known of endpoints right now: in flight, health, cool-downs, signals, round-robin cursors, retry budgets, times to first token.
 * In: events of the proxy itself (take, failure, success) and the prober's reports. Out: a `LiveView` for decide. One writer, this class;
 * everything happens within one turn of the event loop. Touches no socket and no clock: times arrive as values.
 */
import { CLASSES, type FailureClass, UNREACHED } from '../decide/classes.ts'
import type { CursorStep } from '../decide/decision.ts'
import type { EndpointView, LiveView } from '../decide/input.ts'
import { smoothAdvance } from '../decide/smooth.ts'
import { Limits } from '../limits/limits.ts'
import type { ProbeReport } from '../probe/report.ts'
import type { CompiledEndpoint, CompiledTable } from '../routing-table/compiled.ts'
import { EndpointsById } from '../routing-table/endpoints-by-id.ts'
import type { Capability, Engine, Ref } from '../routing-table/v1.ts'
import { CredentialBook } from './credentials.ts'
import { LatencyBook } from './latency.ts'
import { RetryBudget } from './retry-budget.ts'

const OUTLIER_FAILURES = 3
const REOPEN_BASE_MS = 1000
const REOPEN_MAX_MS = 15_000
const PARK_MIN_MS = 1000
const PARK_MAX_MS = 10_000
const MAX_BELIEVED_MS = 3_600_000
export const DISABLED_MS = 60_000

export interface EndpointState extends EndpointView {
  readonly engine: Exclude<Engine, 'Auto'> | undefined
  readonly responseMs: number | undefined
  readonly cacheUsed: number | undefined
  readonly failuresInARow: number
  readonly lastProbeAtMs: number | undefined
  /** The engine's model list lacks the upstream model. Advice only: many engines serve any name. */
  readonly modelMissing: boolean
}

type Mutable = { -readonly [K in keyof EndpointState]: EndpointState[K] } & {
  /** When the cool-down was set or lengthened. */
  coolSinceMs: number
}

/** Counts one request in flight. Released exactly once however often it is asked. */
export interface Guard {
  release(): void
}

const fresh = (settled: boolean): Mutable => ({
  inFlight: 0,
  ready: undefined,
  notReadyBecause: undefined,
  waiting: undefined,
  running: undefined,
  signalsAtMs: Number.NEGATIVE_INFINITY,
  coolUntilMs: 0,
  coolSinceMs: 0,
  coolBecause: undefined,
  unreached: false,
  capabilities: undefined,
  contextWindowTokens: undefined,
  settled,
  engine: undefined,
  responseMs: undefined,
  cacheUsed: undefined,
  failuresInARow: 0,
  lastProbeAtMs: undefined,
  modelMissing: false,
  lacking: [],
})

export class Live implements LiveView {
  readonly latency = new LatencyBook()
  readonly credentials = new CredentialBook()
  readonly limits = new Limits()
  readonly #endpoints = new Map<string, Mutable>()
  readonly #cursors = new Map<string, Map<string, number>>()
  readonly #budgets = new Map<Ref, RetryBudget>()
  readonly #unknown = fresh(false)
  #applied = new EndpointsById<CompiledEndpoint>()

  /** Follows a table swap: new endpoints start fresh, removed ones are forgotten (running requests keep their guard). */
  apply(table: CompiledTable): void {
    const before = this.#applied
    for (const { id, backend } of table.endpoints.differingFrom(before))
      if (!this.#endpoints.has(id)) this.#endpoints.set(id, fresh(!backend.probed))
    for (const { id } of before.differingFrom(table.endpoints)) if (!table.endpoints.has(id)) this.#endpoints.delete(id)
    this.#applied = table.endpoints
    for (const ref of this.#budgets.keys()) if (!table.models.has(ref)) this.#budgets.delete(ref)
    const rules = new Set(table.table.policies.flatMap(({ ref, rules }) => rules.map(({ name }) => `${ref}/${name}`)))
    for (const key of this.#cursors.keys()) if (!table.models.has(key) && !rules.has(key)) this.#cursors.delete(key)
    this.latency.keep((ref) => table.models.has(ref))
    this.credentials.keep((id) => table.credentials.has(id))
    this.limits.apply(table)
  }

  endpoint(id: string): EndpointState {
    return this.#endpoints.get(id) ?? this.#unknown
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

  take(id: string): Guard {
    const state = this.#endpoints.get(id)
    if (state === undefined) return { release: () => {} }
    state.inFlight++
    let held = true
    return {
      release: () => {
        if (held) state.inFlight--
        held = false
      },
    }
  }

  /** An answer ends a cool-down only if its attempt began in it: a long stream from before says nothing of a rate limit hit since. */
  succeeded(id: string, startedAtMs: number): void {
    const state = this.#endpoints.get(id)
    if (state === undefined) return
    state.failuresInARow = 0
    if (startedAtMs < state.coolSinceMs) return
    state.coolUntilMs = 0
    state.coolBecause = undefined
  }

  /** Books a failure by its class's penalty. A cool-down is only ever lengthened: max(old, new). */
  failed(
    id: string,
    failure: { class: FailureClass; retryAfterMs?: number | undefined; because: string },
    nowMs: number,
    dice: number,
  ): void {
    const state = this.#endpoints.get(id)
    if (state === undefined) return
    const forMs = this.#penaltyMs(state, failure, dice)
    if (forMs <= 0 || nowMs + forMs <= state.coolUntilMs) return
    state.coolUntilMs = nowMs + forMs
    state.coolSinceMs = nowMs
    state.coolBecause = failure.because
    state.unreached = UNREACHED.includes(failure.class)
  }

  #penaltyMs(
    state: Mutable,
    { class: failure, retryAfterMs }: { class: FailureClass; retryAfterMs?: number | undefined },
    dice: number,
  ): number {
    switch (CLASSES[failure].penalty) {
      case 'none':
        return 0
      case 'disabled':
        return DISABLED_MS
      case 'parked':
        return Math.min(retryAfterMs ?? PARK_MIN_MS + dice * (PARK_MAX_MS - PARK_MIN_MS), MAX_BELIEVED_MS)
      case 'opens':
        state.failuresInARow = Math.max(state.failuresInARow + 1, OUTLIER_FAILURES)
        return reopenMs(state.failuresInARow, dice)
      case 'counts':
        state.failuresInARow++
        return state.failuresInARow >= OUTLIER_FAILURES ? reopenMs(state.failuresInARow, dice) : 0
    }
  }

  /** A 501: this endpoint does not have the capability, whatever its engine usually has. */
  lacks(id: string, capability: Capability): void {
    const state = this.#endpoints.get(id)
    if (state !== undefined && !state.lacking.includes(capability)) state.lacking = [...state.lacking, capability]
  }

  report(report: ProbeReport): void {
    const state = this.#endpoints.get(report.endpointId)
    if (state === undefined) return
    const recovered = state.ready === false && report.healthy === true
    if (report.healthy !== undefined) {
      state.ready = report.healthy
      state.notReadyBecause = report.healthy ? undefined : (report.reason ?? 'its health probe fails')
    }
    state.modelMissing = report.modelMissing ?? false
    if (recovered) {
      state.coolUntilMs = 0
      state.failuresInARow = 0
      state.lacking = []
    }
    if (report.engine !== undefined) state.settled = true
    state.engine = report.engine ?? state.engine
    state.responseMs = report.responseMs ?? state.responseMs
    state.lastProbeAtMs = report.atMs
    state.contextWindowTokens = report.contextWindowTokens ?? state.contextWindowTokens
    state.capabilities = report.capabilities ?? state.capabilities
    if (report.signalsAtMs !== undefined) {
      state.signalsAtMs = report.signalsAtMs
      state.running = report.running
      state.waiting = report.waiting
      state.cacheUsed = report.cacheUsed
    }
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

/** Full jitter on an exponential delay, with a floor so that a dead endpoint is not hammered. */
function reopenMs(failuresInARow: number, dice: number): number {
  const ceiling = Math.min(REOPEN_MAX_MS, REOPEN_BASE_MS * 2 ** (failuresInARow - OUTLIER_FAILURES))
  return Math.max(REOPEN_BASE_MS / 2, dice * ceiling)
}
