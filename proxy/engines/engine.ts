/**
 * What we know of each inference engine, as data and pure readers: which requests ask for its health, its load and its models, and what
 * the answers mean. In: status, headers and body of answers. Out: plain values. Nothing here sends a request; `proxy/probe` does.
 * Answers come from outside: every reader takes anything and never throws. One file an engine, listed in `engines.ts`; all of them run
 * the suite in `engines.suite.ts` over the texts in `captured/` (captured = from a real engine, documented = from its documentation).
 */
import type { Capability, Engine } from '../routing-table/v1.ts'

/** An engine that is known: what `Auto` becomes after first contact. */
export type KnownEngine = Exclude<Engine, 'Auto'>

/** What a request path is made from. */
export interface ProbeTarget {
  /** Path prefix of the API without a trailing slash, such as "/v1". */
  basePath: string
  /** What the engine calls the model. */
  upstreamModel: string
  /** Path from the origin that replaces the engine's own, as the resource says (`health.path`, `signals.path`). */
  healthPath?: string
  signalsPath?: string
}

/** One answer, as far as recognition needs it. `json` is undefined when the body is none. */
export interface Answer {
  status: number
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>
  json: unknown
}

/** `loading`: it answers, and says that it will be ready later. */
export type HealthVerdict = 'ready' | 'loading' | 'bad'

export interface ModelFacts {
  /** False: the engine answers, and has no such model. */
  upstreamModelFound: boolean
  /** Tokens one request may use, prompt and answer together. */
  contextWindowTokens?: number
  /** Absent = the engine does not say. */
  capabilities?: readonly Capability[]
}

/** Absent = unknown, never "zero" and never "saturated". */
export interface SignalReading {
  /** Requests being worked on. */
  running?: number
  /** Requests queued inside the engine. */
  waiting?: number
  /** Share of the KV cache in use, 0..1. */
  cacheUsed?: number
  /** For an engine that decides it when it loads the model. */
  contextWindowTokens?: number
}

export interface EngineProfile {
  engine: KnownEngine
  /** A stream tells its usage only if `stream_options.include_usage` asks for it, and the engine takes that field: the proxy may add it. */
  usageMustBeAskedFor: boolean
  /** How a credential is sent when the resource does not say. */
  auth: { header: string; scheme: string }
  health: { intervalMs: number; timeoutMs: number; healthyAfter: number; unhealthyAfter: number }
  /** A reading older than `staleAfterMs` counts as unknown. */
  signals: { intervalMs: number; staleAfterMs: number }
  /** Request paths from the origin, query included; all are GET, and none may load, wake or swap a model. */
  healthRequest(target: ProbeTarget): string
  modelsRequest(target: ProbeTarget): string
  /** Where more than the model list tells of the model: asked as rarely as that. */
  info?: { request(target: ProbeTarget): string; read(json: unknown): Partial<ModelFacts> }
  /** Tried in order until one is answered with 200; empty = the engine tells nothing. */
  signalsRequests(target: ProbeTarget): readonly string[]
  /** Is this engine the author of this answer to `GET /v1/models`, to `GET /api/version`, or to `GET /version`? */
  recognise(answer: Answer): boolean
  readHealth(status: number, body: string): HealthVerdict
  readModels(json: unknown, upstreamModel: string): ModelFacts
  readSignals(text: string, target: { model: string }): SignalReading
}

/** What most engines share; a profile says only where it differs. */
export const USUAL = {
  usageMustBeAskedFor: true,
  auth: { header: 'authorization', scheme: 'Bearer' },
  health: { intervalMs: 5_000, timeoutMs: 2_000, healthyAfter: 1, unhealthyAfter: 2 },
  signals: { intervalMs: 5_000, staleAfterMs: 15_000 },
  modelsRequest: (target: ProbeTarget) => `${target.basePath}/models`,
} as const

/** Where an engine's own routes (`/health`, `/metrics`) start: the base path without its `/v1`. */
export function rootOf(basePath: string): string {
  return basePath.endsWith('/v1') ? basePath.slice(0, -'/v1'.length) : basePath
}
