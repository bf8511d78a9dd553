import type { Capability } from '../routing-table/v1.ts'
import type { CircuitView } from './circuit-view.ts'
import type { Paces } from './pace-view.ts'

/** What is known of one endpoint right now. */
export interface EndpointView extends CircuitView {
  readonly inFlight: number
  /** Those of them that have had no first token yet, and the tokens of their prompts. */
  readonly unbegun: number
  readonly unreadTokens: number
  /** The probe's word: undefined = not probed, or not yet. */
  readonly ready: boolean | undefined
  readonly notReadyBecause: string | undefined
  /** Requests in the engine's own queue, and when that was read; undefined = this engine does not say. */
  readonly waiting: number | undefined
  readonly running: number | undefined
  readonly signalsAtMs: number
  readonly coolBecause: string | undefined
  /** The cool-down is that of an endpoint that may be gone, not one that an engine asked for. */
  readonly unreached: boolean
  readonly capabilities: readonly Capability[] | undefined
  /** Capabilities that a 501 has taken away, whatever is declared. */
  readonly lacking: readonly Capability[]
  readonly contextWindowTokens: number | undefined
  /** Of its model's adapters those that its engine lists; undefined = not known. */
  readonly adapters: readonly string[] | undefined
  /** Tokens it writes in a second while it is busy; undefined = not known. */
  readonly outputPerSecond: number | undefined
  /** Of the last answers of its model. Absent = nothing is known. */
  readonly outputs?: { readonly meanTokens: number }
  /** Whether the engine has been recognised, or never will be (not probed). Before that its capabilities are unknown, not absent. */
  readonly settled: boolean
  /** How fast it has been answering, by prompt size; they change in place. */
  readonly paces: Paces
  /** Our own requests in flight when the signals were read. */
  readonly inFlightAtSignals: number
  /** Between two first tokens of ours while others of ours waited for theirs; undefined = not seen yet. */
  readonly beginEveryMs: number | undefined
  /** Of each prompt token where nothing had to wait; undefined = not seen yet. */
  readonly promptTokenMs: number | undefined
}
