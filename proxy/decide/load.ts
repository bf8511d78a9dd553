import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { EndpointView } from './endpoint-view.ts'

interface Seen {
  readonly live: { endpoint(id: string): EndpointView }
  readonly nowMs: number
}

/** Three missed scrapes of the default five seconds. */
const DEFAULT_STALE_AFTER_MS = 15_000
/** Prompt tokens that nobody has read yet delay a first token about as much as one more request does. */
export const TOKENS_LIKE_A_REQUEST = 256
const OTHERS_PART = 1 / 4

const staleAfter = (declaredMs: number | undefined): number => declaredMs ?? DEFAULT_STALE_AFTER_MS

/** When the newest scrape is too old. */
export const staleAtMs = ({ backend }: CompiledEndpoint, view: EndpointView): number =>
  view.signalsAtMs + staleAfter(backend.signals.staleAfterMs)

export const isFresh = (endpoint: CompiledEndpoint, view: EndpointView, nowMs: number): boolean => nowMs <= staleAtMs(endpoint, view)

/**
 * Requests ahead of a new one: our own, which are known at once, and those of others as the engine last told. A scrape that is too old is
 * unknown, and unknown falls back to our own count, never to "saturated".
 */
export const loadOf = (endpoint: CompiledEndpoint, { live, nowMs }: Seen): number => loadIn(endpoint, live.endpoint(endpoint.id), nowMs)

export const loadIn = (endpoint: CompiledEndpoint, view: EndpointView, nowMs: number): number =>
  view.inFlight + othersIn(endpoint, view, nowMs)

/** As the engine last told. */
export function othersIn(endpoint: CompiledEndpoint, view: EndpointView, nowMs: number): number {
  if (view.signalsAtMs === Number.NEGATIVE_INFINITY || !isFresh(endpoint, view, nowMs)) return 0
  return Math.max(0, (view.running ?? 0) + (view.waiting ?? 0) - view.inFlightAtSignals)
}

/**
 * What is ahead for comparing: our requests and our prompts that are still to be read, at once; of the requests of others only a part, as
 * they were told seconds ago, and several proxies that all believed the same old number would all go to the same place.
 */
export const workIn = (endpoint: CompiledEndpoint, view: EndpointView, nowMs: number): number =>
  workOf(view.inFlight, view.unreadTokens, othersIn(endpoint, view, nowMs))

export const workOf = (inFlight: number, unreadTokens: number, others: number): number =>
  inFlight + unreadTokens / TOKENS_LIKE_A_REQUEST + OTHERS_PART * others

/**
 * Until a first token: those of ours that wait for theirs by the time between two, then the prompt by the time of a token. Undefined where
 * too little has been seen.
 */
export const waitMsIn = ({ unbegun, beginEveryMs, promptTokenMs }: EndpointView, promptTokens: number): number | undefined =>
  beginEveryMs === undefined || promptTokenMs === undefined ? undefined : unbegun * beginEveryMs + promptTokens * promptTokenMs
