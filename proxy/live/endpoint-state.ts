import { capabilitySet } from '../decide/capability-set.ts'
import { type Circuit, CLOSED } from '../decide/circuit-view.ts'
import type { EndpointView } from '../decide/endpoint-view.ts'
import { NO_PACES } from '../decide/pace-view.ts'
import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { Engine, Ref } from '../routing-table/v1.ts'
import { OutcomeWindow } from './circuit-window.ts'
import { MeanOutput } from './mean-output.ts'
import type { PaceBook } from './pace.ts'
import type { QueueBook } from './queue-book.ts'
import type { Throughput } from './throughput.ts'

export interface EndpointState extends EndpointView {
  readonly engine: Exclude<Engine, 'Auto'> | undefined
  readonly responseMs: number | undefined
  readonly cacheUsed: number | undefined
  readonly lastProbeAtMs: number | undefined
  /** The engine's model list lacks the upstream model. Advice only: many engines serve any name. */
  readonly modelMissing: boolean
}

/** As its owner, `Live`, keeps it. */
export type Mutable = { -readonly [K in keyof EndpointState]: EndpointState[K] } & {
  readonly outcomes: OutcomeWindow
  readonly model: Ref
  /** From the first answer on. */
  book: PaceBook | undefined
  queue: QueueBook | undefined
  /** Its model's. */
  outputs: MeanOutput
  /** Where its hour has a price. */
  throughput: Throughput | undefined
  /** What `probing` stands for: the request that took the one place, or our own probe. */
  probe: object | undefined
}

export function fresh(model: Ref, settled: boolean, circuit: Circuit = CLOSED): Mutable {
  return {
    model,
    book: undefined,
    paces: NO_PACES,
    queue: undefined,
    inFlightAtSignals: 0,
    unbegun: 0,
    beginEveryMs: undefined,
    promptTokenMs: undefined,
    inFlight: 0,
    unreadTokens: 0,
    ready: undefined,
    notReadyBecause: undefined,
    waiting: undefined,
    running: undefined,
    signalsAtMs: Number.NEGATIVE_INFINITY,
    circuit,
    parked: undefined,
    probing: false,
    probe: undefined,
    retestedBy: 'request',
    coolUntilMs: 0,
    coolBecause: undefined,
    unreached: false,
    capabilities: undefined,
    contextWindowTokens: undefined,
    outputPerSecond: undefined,
    outputs: new MeanOutput(),
    adapters: undefined,
    throughput: undefined,
    settled,
    engine: undefined,
    responseMs: undefined,
    cacheUsed: undefined,
    outcomes: new OutcomeWindow(),
    lastProbeAtMs: undefined,
    modelMissing: false,
    lacking: [],
  }
}

/** Nothing that rules ask for differs: most reports bring new signals only. */
export function standsAlike(a: Known, b: Known): boolean {
  if (a.ready !== b.ready || a.settled !== b.settled || a.contextWindowTokens !== b.contextWindowTokens) return false
  return a.capabilities === b.capabilities || capabilitySet(a.capabilities ?? []) === capabilitySet(b.capabilities ?? [])
}

type Known = Pick<EndpointView, 'ready' | 'settled' | 'contextWindowTokens' | 'capabilities'>

/** It was away, and comes back as a new one: as its peers are, until it has shown more. */
export function forgetPace(state: Mutable): void {
  state.book = undefined
  state.queue = undefined
  state.paces = NO_PACES
  state.beginEveryMs = undefined
  state.promptTokenMs = undefined
}

/** What decisions read most, worked out when circuit or parking change. */
export function setCoolDown(state: Mutable): void {
  const { circuit, parked } = state
  const openUntilMs = circuit.state === 'open' ? circuit.untilMs : 0
  const parkedUntilMs = parked?.untilMs ?? 0
  const later = circuit.state === 'open' && openUntilMs >= parkedUntilMs ? circuit : parked
  state.coolUntilMs = Math.max(openUntilMs, parkedUntilMs)
  state.coolBecause = later?.because
  state.unreached = later === circuit && circuit.state === 'open' && circuit.unreached
}

/** Ollama and LocalAI may have to load a model for it; what speaks no chat or completions has no such request. */
export function retestedByUs({ backend, lastResort }: CompiledEndpoint, { engine, capabilities }: EndpointState): boolean {
  if (lastResort || !backend.probed || backend.auth !== undefined || backend.dialect === 'Anthropic') return false
  const known = engine ?? backend.engine
  if (known === 'Ollama' || known === 'LocalAI') return false
  const has = backend.capabilities ?? capabilities
  return has === undefined || has.includes('chat') || has.includes('completions')
}
