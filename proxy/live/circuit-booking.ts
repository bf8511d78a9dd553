import { CLOSED, type Trip } from '../decide/circuit-view.ts'
import { CLASSES, type FailureClass, UNREACHED } from '../decide/classes.ts'
import { answered, disturbed, opened, rampingFrom } from './circuit.ts'
import { type Mutable, setCoolDown } from './endpoint-state.ts'

const IN_A_ROW = 3
const PARK_MIN_MS = 1000
const PARK_MAX_MS = 10_000
/** An engine that is overloaded is believed for less long than one whose limit has a reset. */
const MAX_CAPACITY_MS = 60_000
const MAX_BELIEVED_MS = 3_600_000
export const DISABLED_MS = 60_000

export interface FailureSeen {
  readonly class: FailureClass
  readonly retryAfterMs?: number | undefined
  /** For people, clients too: no address. */
  readonly because: string
}

/** When, by chance of one dice, and for whom. */
export interface Circumstances {
  readonly nowMs: number
  readonly dice: number
  /** It was the one probe of a half-open circuit, or of a disabled endpoint. */
  readonly probe: boolean
  /** `health.outlier.consecutiveFailures`. */
  readonly inARow?: number | undefined
  /** Whether an outlier rule may take one more endpoint of the model out. */
  readonly mayEject: () => boolean
}

/** Books an answer: it ends what began before its attempt, be it an open circuit or a parking. */
export function bookAnswer(state: Mutable, startedAtMs: number, nowMs: number): void {
  state.outcomes.succeeded(nowMs)
  if (state.circuit.state === 'closed' && state.parked === undefined) return
  if (state.parked !== undefined && startedAtMs >= state.parked.sinceMs) state.parked = undefined
  state.circuit = answered(state.circuit, startedAtMs, nowMs)
  setCoolDown(state)
}

/** Books a failure by its class's penalty. Says what opened the circuit, if anything did. */
export function bookFailure(state: Mutable, failure: FailureSeen, at: Circumstances): Trip | 'half_open' | undefined {
  const { penalty } = CLASSES[failure.class]
  if (penalty === 'parked' || penalty === 'disabled') park(state, failure, at)
  const trip = tripOf(state, failure, at)
  if (trip !== undefined) open(state, trip, failure, at)
  setCoolDown(state)
  return trip
}

function tripOf(state: Mutable, failure: FailureSeen, at: Circumstances): Trip | 'half_open' | undefined {
  const { penalty } = CLASSES[failure.class]
  const counts = penalty === 'counts' || penalty === 'opens'
  if (state.circuit.state === 'open') {
    if (!at.probe) return undefined // begun before it opened, or in panic: no news
    if (counts || failure.class === 'CAPACITY') return 'half_open'
    state.circuit = answered(state.circuit, at.nowMs, at.nowMs) // refused, but by an engine that is there
    return undefined
  }
  if (penalty === 'opens') return 'refused'
  if (!counts) return undefined
  state.outcomes.failed(at.nowMs)
  const trip = state.outcomes.trip(at.nowMs, at.inARow ?? IN_A_ROW)
  if (trip !== undefined && at.mayEject()) return trip
  state.circuit = disturbed(state.circuit, at.nowMs)
  return undefined
}

function open(state: Mutable, trip: Trip | 'half_open', failure: FailureSeen, { nowMs, dice }: Circumstances): void {
  const kept = state.circuit.state === 'open' ? state.circuit.trip : 'refused'
  const opening = {
    trip: trip !== 'half_open' ? trip : failure.class === 'REFUSED' ? 'refused' : kept,
    because: failure.because,
    unreached: UNREACHED.includes(failure.class),
  } as const
  state.circuit = opened(state.circuit, opening, nowMs, dice)
  state.outcomes.clear()
}

/** The time is only ever lengthened. What is disabled stays so until something is answered. */
function park(state: Mutable, { class: failure, retryAfterMs, because }: FailureSeen, { nowMs, dice }: Circumstances): void {
  const kind = CLASSES[failure].penalty === 'disabled' ? 'disabled' : failure === 'RATE_LIMIT' ? 'rate_limit' : 'capacity'
  const askedMs = retryAfterMs ?? PARK_MIN_MS + dice * (PARK_MAX_MS - PARK_MIN_MS)
  const forMs = kind === 'disabled' ? DISABLED_MS : Math.min(askedMs, kind === 'capacity' ? MAX_CAPACITY_MS : MAX_BELIEVED_MS)
  const untilMs = nowMs + forMs
  const { parked } = state
  if (untilMs <= (parked?.untilMs ?? 0)) return
  state.parked = parked?.kind === 'disabled' ? { ...parked, untilMs, sinceMs: nowMs } : { kind, sinceMs: nowMs, untilMs, because }
}

/** It was down and is well again: nothing that was booked says anything of it. */
export function startAnew(state: Mutable, nowMs: number): void {
  state.outcomes.clear()
  state.parked = undefined
  state.circuit = rampingFrom(CLOSED, nowMs)
  setCoolDown(state)
}
