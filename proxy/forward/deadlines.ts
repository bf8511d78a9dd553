import type { LatencyBook } from '../live/latency.ts'
import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { Deadlines } from './attempt.ts'

const FIRST_TOKEN_MIN_MS = 5000
const FIRST_TOKEN_UNKNOWN_MS = 10_000
const WHOLE_MIN_MS = 10_000
const WHOLE_UNKNOWN_MS = 60_000
const IDLE_MS = 20_000
/** Node's timers are 32 bits wide: one that is longer would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1
/** How many times the usual 95th percentile is still no fault. */
const PATIENCE = 4

/** The deadlines of one attempt: what the resource says, else four times what this model usually takes for a prompt of this size. */
export function deadlinesFor(
  { model, backend: { timeouts } }: CompiledEndpoint,
  latency: LatencyBook,
  promptTokens: number,
  remainingMs: number,
): Deadlines {
  const firstToken = latency.p95Ms(model, 'firstToken', promptTokens)
  const whole = latency.p95Ms(model, 'whole', promptTokens)
  return {
    firstTokenMs: timed(timeouts.firstTokenMs ?? adaptive(firstToken, FIRST_TOKEN_MIN_MS, FIRST_TOKEN_UNKNOWN_MS)),
    // An engine that may take long to begin may take as long for a whole answer.
    wholeMs: timed(Math.max(adaptive(whole, WHOLE_MIN_MS, WHOLE_UNKNOWN_MS), timeouts.firstTokenMs ?? 0)),
    idleMs: timed(timeouts.streamIdleMs ?? IDLE_MS),
    totalMs: Number.isFinite(remainingMs) ? timed(remainingMs) : remainingMs,
  }
}

const timed = (ms: number): number => Math.min(ms, MAX_TIMER_MS)

const adaptive = (p95Ms: number | undefined, minMs: number, unknownMs: number): number =>
  p95Ms === undefined ? unknownMs : Math.max(minMs, PATIENCE * p95Ms)
