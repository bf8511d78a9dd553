/** What the prober is told and what it tells. */
import type { KnownEngine } from '../engines/engine.ts'
import type { Alias, Backend, Capability, Endpoint, Ref } from '../routing-table/v1.ts'

export interface ProbedEndpoint {
  /** The endpoint's id: opaque and unique. */
  id: string
  model: Ref
  backend: Backend
  endpoint: Endpoint
  /** Of the model: those with a name of their own at the engine are adapters, which some endpoints may lack. Absent = none. */
  aliases?: readonly Alias[]
}

/** Everything known of one endpoint at one moment. Absent = unknown. A later report replaces an earlier one. */
export interface ProbeReport {
  endpointId: string
  atMs: number
  /** Undefined until enough probes have told. */
  healthy: boolean | undefined
  /** Why it is not healthy, or what is wrong with it; for people. No address in it. */
  reason?: string
  /** Time of the last answered health request. */
  responseMs?: number
  /** Detected, where the resource says `Auto`. */
  engine?: KnownEngine
  running?: number
  waiting?: number
  /** Share of the KV cache in use, 0..1. */
  cacheUsed?: number
  /** When running, waiting and cacheUsed were read: what is too old counts as unknown. */
  signalsAtMs?: number
  contextWindowTokens?: number
  capabilities?: readonly Capability[]
  /** The engine answers, and does not have the backend's `upstreamModel`. */
  modelMissing?: boolean
  /** Of the model's adapters those that this engine has. */
  adapters?: readonly string[]
}

/** What a probe of an open circuit has found: a health request, then a completion of one token. */
export interface RetestReport {
  endpointId: string
  tookMs: number
  /** Why it does not work; undefined = it works. No address in it. */
  because: string | undefined
  /** It answered, be it with an error. */
  answered: boolean
}
