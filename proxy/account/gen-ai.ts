import type { Registry } from 'prom-client'
import type { Route } from '../decide/input.ts'
import type { Usage } from '../dialects/dialect.ts'
import type { RequestRecord } from '../serve/lifecycle.ts'
import { CounterCells, HistogramCells } from './cells.ts'
import { firstTokenMsOf, outcomeOf } from './settled.ts'

/** Values and bucket bounds are those of the OpenTelemetry semantic conventions for generative AI; names as Prometheus spells them. */
const OPERATIONS: Readonly<Record<Route, string>> = {
  chat: 'chat',
  responses: 'chat',
  completions: 'text_completion',
  embeddings: 'embeddings',
  messages: 'chat',
  count_tokens: 'count_tokens',
  rerank: 'rerank',
  moderations: 'moderation',
  speech: 'speech',
  transcriptions: 'transcription',
  translations: 'translation',
  images: 'image_generation',
  other: 'other',
}
const DURATION_BOUNDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92] as const
const FIRST_TOKEN_BOUNDS = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const
const PER_TOKEN_BOUNDS = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5] as const
const TOKEN_BOUNDS = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864] as const

const LABELS = ['gen_ai_operation_name', 'gen_ai_request_model', 'gen_ai_response_model'] as const

/**
 * The metrics that GenAI dashboards read. A request's model name is a label only if the table serves it ("_unknown" otherwise); the model
 * that answered is a LlamaModel, "namespace/name". Token counts are the engine's own: without them nothing is booked, never zero.
 */
export class GenAiMetrics {
  readonly #duration
  readonly #firstToken
  readonly #perToken
  readonly #usage
  readonly #unreported

  constructor(registry: Registry, onDropped: (metric: string) => void) {
    const shared = { registry, onDropped, labelNames: LABELS }
    this.#duration = new HistogramCells({
      registry,
      onDropped,
      name: 'gen_ai_server_request_duration_seconds',
      help: 'Time from the arrival of a request to the end of its answer.',
      labelNames: [...LABELS, 'error_type'],
      bounds: DURATION_BOUNDS,
    })
    this.#firstToken = new HistogramCells({
      ...shared,
      name: 'gen_ai_server_time_to_first_token_seconds',
      help: 'Time from the arrival of a request to the first content of its stream, failed attempts included.',
      bounds: FIRST_TOKEN_BOUNDS,
    })
    this.#perToken = new HistogramCells({
      ...shared,
      name: 'gen_ai_server_time_per_output_token_seconds',
      help: 'Time per output token after the first, of complete streams.',
      bounds: PER_TOKEN_BOUNDS,
    })
    this.#usage = new HistogramCells({
      registry,
      onDropped,
      name: 'gen_ai_client_token_usage',
      help: 'Tokens of a request by type, as the engine reports them.',
      labelNames: [...LABELS, 'gen_ai_token_type'],
      bounds: TOKEN_BOUNDS,
    })
    this.#unreported = new CounterCells({
      registry,
      onDropped,
      name: 'llama_swap_usage_unreported_total',
      help: 'Answers whose engine reported no token counts.',
      labelNames: ['model'],
    })
  }

  /** `isServed`: whether the table has the name that the client asked for. */
  record(record: RequestRecord, isServed: (name: string) => boolean): void {
    const { facts, ending, durationMs, dialect } = record
    if (facts === undefined || ending === undefined) return
    const operation = OPERATIONS[dialect.route]
    const asked = ending.sent !== undefined || isServed(facts.asked) ? facts.asked : '_unknown'
    const answered = ending.sent?.model.entry.ref ?? ''
    const outcome = outcomeOf(record)
    this.#duration.observe([operation, asked, answered, outcome === 'ok' ? '' : outcome], durationMs / 1000)
    if (outcome !== 'ok') return
    const firstTokenMs = firstTokenMsOf(record)
    if (firstTokenMs !== undefined) this.#firstToken.observe([operation, asked, answered], firstTokenMs / 1000)
    if (ending.usage === undefined) this.#unreported.add([answered])
    else this.#recordUsage([operation, asked, answered], ending.usage, firstTokenMs === undefined ? undefined : durationMs - firstTokenMs)
  }

  /** Embeddings have no output. `outputMs`: from the first content to the end, of a stream. */
  #recordUsage([operation, asked, answered]: readonly [string, string, string], usage: Usage, outputMs: number | undefined): void {
    const { inputTokens, cachedInputTokens, outputTokens } = usage
    this.#usage.observe([operation, asked, answered, 'input'], inputTokens)
    if (cachedInputTokens > 0) this.#usage.observe([operation, asked, answered, 'cached'], cachedInputTokens)
    if (operation === OPERATIONS.embeddings) return
    this.#usage.observe([operation, asked, answered, 'output'], outputTokens)
    if (outputMs !== undefined && outputTokens > 1)
      this.#perToken.observe([operation, asked, answered], outputMs / 1000 / (outputTokens - 1))
  }

  tidy(isKnown: (model: string) => boolean): void {
    for (const metric of [this.#duration, this.#firstToken, this.#perToken, this.#usage]) metric.tidy('gen_ai_response_model', isKnown)
    this.#unreported.tidy('model', isKnown)
  }
}
