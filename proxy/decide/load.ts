import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { EndpointView, Input } from './input.ts'

/** Three missed scrapes of the default five seconds. */
const DEFAULT_STALE_AFTER_MS = 15_000
/** Prompt tokens that nobody has read yet delay a first token about as much as one more request does. */
export const TOKENS_LIKE_A_REQUEST = 256

export const staleAfter = (declaredMs: number | undefined): number => declaredMs ?? DEFAULT_STALE_AFTER_MS

/** When the newest scrape is too old. */
export const staleAtMs = ({ backend }: CompiledEndpoint, view: EndpointView): number =>
  view.signalsAtMs + staleAfter(backend.signals.staleAfterMs)

export const isFresh = (endpoint: CompiledEndpoint, view: EndpointView, nowMs: number): boolean => nowMs <= staleAtMs(endpoint, view)

/**
 * Requests ahead of a new one: our own, which are known at once, and those of others as the engine last told. A scrape that is too old is
 * unknown, and unknown falls back to our own count, never to "saturated".
 */
export const loadOf = (endpoint: CompiledEndpoint, { live, nowMs }: Pick<Input, 'live' | 'nowMs'>): number =>
  loadIn(endpoint, live.endpoint(endpoint.id), nowMs)

export function loadIn(endpoint: CompiledEndpoint, view: EndpointView, nowMs: number): number {
  if (view.signalsAtMs === Number.NEGATIVE_INFINITY || !isFresh(endpoint, view, nowMs)) return view.inFlight
  return view.inFlight + Math.max(0, (view.running ?? 0) + (view.waiting ?? 0) - view.inFlightAtSignals)
}

/** Requests ahead, with what there is of our own prompts still to be read. */
export const workIn = (endpoint: CompiledEndpoint, view: EndpointView, nowMs: number): number =>
  loadIn(endpoint, view, nowMs) + view.unreadTokens / TOKENS_LIKE_A_REQUEST

/**
 * Until a request's first token: those that wait by the time between two ends, then our own unread prompts and its own by the time of a
 * token. Undefined where the engine does not say, or has not been seen long enough.
 */
export function waitMsIn(endpoint: CompiledEndpoint, view: EndpointView, promptTokens: number, nowMs: number): number | undefined {
  const { slots, departureMs, promptTokenMs, unreadTokens } = view
  if (slots === undefined || departureMs === undefined || promptTokenMs === undefined) return undefined
  if (!isFresh(endpoint, view, nowMs)) return undefined
  return Math.max(0, loadIn(endpoint, view, nowMs) - slots) * departureMs + (unreadTokens + promptTokens) * promptTokenMs
}
