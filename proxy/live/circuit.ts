/**
 * The circuit of one endpoint: closed → open → half-open (an open one whose time has passed) → ramping → closed. In: what happened, the
 * time, one dice. Out: the next circuit. PURE: holds no state and reads no clock. What it means for a decision: `decide/circuit-view.ts`.
 */
import { type Circuit, CLOSED, LAST_RAMP_STEP, rampAt, type Trip } from '../decide/circuit-view.ts'

const REOPEN_BASE_MS = 1000
const REOPEN_MAX_MS = 15_000
const REOPEN_MIN_MS = 500
/** No step of the ramp is shorter, however much succeeds. */
const STEP_MS = 2000
const EJECTED_PERCENT = 50

export interface Opening {
  readonly trip: Trip
  readonly because: string
  readonly unreached: boolean
}

/** Opens it, or opens it again after a probe has failed: for longer each time. The time is only ever lengthened. */
export function opened(before: Circuit, opening: Opening, nowMs: number, dice: number): Circuit {
  const opens = (before.state === 'closed' ? 0 : before.opens) + 1
  const untilMs = Math.max(nowMs + reopenAfterMs(opens, dice), before.state === 'open' ? before.untilMs : 0)
  return { state: 'open', ...opening, sinceMs: nowMs, untilMs, opens }
}

/** Full jitter on an exponential delay, with a floor so that a dead endpoint is not hammered. */
function reopenAfterMs(opens: number, dice: number): number {
  const ceilingMs = Math.min(REOPEN_MAX_MS, REOPEN_BASE_MS * 2 ** (opens - 1))
  return Math.max(REOPEN_MIN_MS, ceilingMs / 4, dice * ceilingMs)
}

/** It works again, or has come to others that have their full share already. */
export const rampingFrom = (before: Circuit, nowMs: number): Circuit => ({
  state: 'ramping',
  step: 0,
  stepSinceMs: nowMs,
  opens: before.state === 'closed' ? 0 : before.opens,
})

/** An answer. One to a request that began before the circuit opened says nothing of now. */
export function answered(before: Circuit, startedAtMs: number, nowMs: number): Circuit {
  if (before.state === 'closed') return before
  if (before.state === 'open') return startedAtMs < before.sinceMs ? before : rampingFrom(before, nowMs)
  const { step, sinceMs } = rampAt(before, nowMs)
  if (step < LAST_RAMP_STEP && nowMs - sinceMs < STEP_MS) return before
  return step + 1 >= LAST_RAMP_STEP ? CLOSED : { ...before, step: step + 1, stepSinceMs: nowMs }
}

/** A failure that opens nothing: a ramp begins anew. */
export const disturbed = (before: Circuit, nowMs: number): Circuit =>
  before.state === 'ramping' ? { ...before, step: 0, stepSinceMs: nowMs } : before

/**
 * Whether an outlier rule may take one more endpoint out. The share bounds what we conclude from failures of requests, which a bad kind of
 * request may cause everywhere; so the rule yields, and the endpoint keeps getting requests. A refused connection is a fact and no
 * conclusion, like a probe that says down or an engine that asks for a pause: these never yield, and never count towards the share. One
 * endpoint may always be taken out (unless the share is 0), or a model of one or two would have no circuit.
 */
export function mayEject(ejected: number, endpoints: number, maxPercent: number = EJECTED_PERCENT): boolean {
  if (maxPercent <= 0) return false
  return ejected < Math.max(1, Math.floor((endpoints * maxPercent) / 100))
}

export const isEjected = (circuit: Circuit): boolean => circuit.state === 'open' && circuit.trip !== 'refused'
