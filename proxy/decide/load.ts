import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { EndpointView, Input } from './input.ts'

/** Three missed scrapes of the default five seconds. */
const DEFAULT_STALE_AFTER_MS = 15_000

export const staleAfter = (declaredMs: number | undefined): number => declaredMs ?? DEFAULT_STALE_AFTER_MS

/** When the newest scrape is too old. */
export const staleAtMs = ({ backend }: CompiledEndpoint, view: EndpointView): number =>
  view.signalsAtMs + staleAfter(backend.signals.staleAfterMs)

export const isFresh = (endpoint: CompiledEndpoint, view: EndpointView, nowMs: number): boolean => nowMs <= staleAtMs(endpoint, view)

/**
 * Requests ahead of a new one: our own in flight, or what the engine itself says when that is more (other proxies send to it too).
 * A scrape that is too old is unknown, and unknown falls back to our own count, never to "saturated".
 */
export const loadOf = (endpoint: CompiledEndpoint, { live, nowMs }: Pick<Input, 'live' | 'nowMs'>): number =>
  loadIn(endpoint, live.endpoint(endpoint.id), nowMs)

export function loadIn(endpoint: CompiledEndpoint, view: EndpointView, nowMs: number): number {
  if (view.signalsAtMs === Number.NEGATIVE_INFINITY || !isFresh(endpoint, view, nowMs)) return view.inFlight
  return Math.max(view.inFlight, (view.running ?? 0) + (view.waiting ?? 0))
}
