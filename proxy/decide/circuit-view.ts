/** What an endpoint's circuit and parking say to a decision at one time. Who changes them: `proxy/live`. */

/** What opened a circuit: a refused connection, failures one after the other, or half of all requests. The last two are outlier rules. */
export type Trip = 'refused' | 'in_a_row' | 'failure_share'

/**
 * What failures of requests have done to an endpoint. `open` is half-open once `untilMs` has passed: exactly one probe finds out whether it
 * works again. `ramping` = it does, or is new among others, and gets a growing part of its fair share. `opens`: how often in a row it has
 * opened without having had its full share in between.
 */
export type Circuit =
  | { readonly state: 'closed' }
  | {
      readonly state: 'open'
      readonly sinceMs: number
      readonly untilMs: number
      readonly trip: Trip
      readonly because: string
      /** It may be gone: what failed were no answers. */
      readonly unreached: boolean
      readonly opens: number
    }
  | { readonly state: 'ramping'; readonly step: number; readonly stepSinceMs: number; readonly opens: number }

/** It answered, and asked for a pause: no fault, so its circuit stays as it is. `disabled` = a human must mend it; re-tested slowly. */
export interface Parked {
  readonly kind: 'capacity' | 'rate_limit' | 'disabled'
  readonly sinceMs: number
  readonly untilMs: number
  readonly because: string
}

export interface CircuitView {
  readonly circuit: Circuit
  readonly parked: Parked | undefined
  /** The one probe is under way. */
  readonly probing: boolean
  /** Who finds out whether it works again: the next request, or a request of our own that asks for one token. */
  readonly retestedBy: 'request' | 'probe'
  /** No request goes there before this time, unless nothing else is left: the later one of circuit and parking. */
  readonly coolUntilMs: number
}

export const CLOSED: Circuit = { state: 'closed' }
/** Parts of the fair share, in percent. After the last one the circuit is closed. */
const RAMP_PERCENT: readonly number[] = [10, 25, 50, 100]
export const LAST_RAMP_STEP = RAMP_PERCENT.length - 1
/** A step of the ramp that nobody's requests have proven takes this long. */
const UNPROVEN_STEP_MS = 5000
/** How late a probe of our own may be before the next request does its work. */
const PROBE_LATE_MS = 12_000

/** How many requests may go there now: any number, the one that is the probe, or none. */
export function admits({ circuit, parked, probing, retestedBy, coolUntilMs }: CircuitView, nowMs: number): 'any' | 'one' | 'none' {
  if (coolUntilMs > nowMs) return 'none'
  if (circuit.state === 'open') return probing || (retestedBy === 'probe' && nowMs < coolUntilMs + PROBE_LATE_MS) ? 'none' : 'one'
  if (parked?.kind === 'disabled') return probing ? 'none' : 'one'
  return 'any'
}

export type Phase = 'closed' | 'open' | 'half_open' | 'ramping'

export function phaseOf({ circuit, probing }: Pick<CircuitView, 'circuit' | 'probing'>, nowMs: number): Phase {
  if (circuit.state === 'open') return probing || circuit.untilMs <= nowMs ? 'half_open' : 'open'
  return rampPercent(circuit, nowMs) < 100 ? 'ramping' : 'closed'
}

/** The part of its fair share, 0 to 100. */
export function rampPercent(circuit: Circuit, nowMs: number): number {
  return circuit.state === 'ramping' ? (RAMP_PERCENT[rampAt(circuit, nowMs).step] ?? 100) : 100
}

/** Where a ramp is, and since when: steps that nobody has proven count too. */
export function rampAt({ step, stepSinceMs }: Extract<Circuit, { state: 'ramping' }>, nowMs: number): { step: number; sinceMs: number } {
  const unproven = Math.max(0, Math.floor((nowMs - stepSinceMs) / UNPROVEN_STEP_MS))
  return { step: Math.min(LAST_RAMP_STEP, step + unproven), sinceMs: stepSinceMs + unproven * UNPROVEN_STEP_MS }
}

/** In one word for people, with the reason; undefined = it gets its full share. */
export function standingOf(
  view: CircuitView & { readonly coolBecause: string | undefined },
  nowMs: number,
): { readonly state: Exclude<Phase, 'closed'> | 'parked' | 'disabled'; readonly because: string | undefined } | undefined {
  const { circuit, parked } = view
  if (circuit.state === 'closed' && parked === undefined) return undefined
  if (parked?.kind === 'disabled') return { state: 'disabled', because: parked.because }
  const phase = phaseOf(view, nowMs)
  if (circuit.state === 'open' && phase !== 'closed') return { state: phase, because: circuit.because }
  if (parked !== undefined && parked.untilMs > nowMs) return { state: 'parked', because: parked.because }
  return phase === 'closed' ? undefined : { state: phase, because: undefined }
}

/** Why it gets no request, in a few words; for clients too, so no address. */
export function outBecause(view: CircuitView & { readonly coolBecause: string | undefined }, nowMs: number): string {
  const { circuit, parked, coolUntilMs, coolBecause = 'it failed' } = view
  if (coolUntilMs <= nowMs) return 'half-open: its one probe is under way'
  if (circuit.state === 'open' && circuit.untilMs === coolUntilMs) return `circuit open: ${coolBecause}`
  return `${parked?.kind === 'disabled' ? 'disabled' : 'cooling down'}: ${coolBecause}`
}
