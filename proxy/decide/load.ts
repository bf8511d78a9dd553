import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { Input } from './input.ts'

/** Three missed scrapes of the default five seconds. */
const DEFAULT_STALE_AFTER_MS = 15_000

/**
 * Requests ahead of a new one: our own in flight, or what the engine itself says when that is more (other proxies send to it too).
 * A scrape that is too old is unknown, and unknown falls back to our own count, never to "saturated".
 */
export function loadOf({ id, backend }: CompiledEndpoint, { live, nowMs }: Pick<Input, 'live' | 'nowMs'>): number {
  const view = live.endpoint(id)
  const fresh = nowMs - view.signalsAtMs <= (backend.signals.staleAfterMs ?? DEFAULT_STALE_AFTER_MS)
  const said = fresh ? (view.running ?? 0) + (view.waiting ?? 0) : 0
  return Math.max(view.inFlight, said)
}
