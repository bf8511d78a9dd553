/**
 * vLLM. `/health` is 200 with an empty body and 503 when the engine process is dead; while it loads nothing answers. It has stayed 200
 * while wedged, so health is one signal among others. Metrics are labelled by model and by data-parallel rank.
 */
import type { Capability } from '../routing-table/v1.ts'
import { type EngineProfile, type ModelFacts, rootOf, type SignalReading, USUAL } from './engine.ts'
import { known, text } from './fields.ts'
import { maxModelLength, modelRows, purposeOf, seesImages } from './model-list.ts'
import { shareOf, sumOf } from './prometheus.ts'

const CHAT: readonly Capability[] = ['chat', 'completions', 'responses', 'tools', 'jsonSchema']
/** Renamed in 0.9; a deprecated name stays for one minor release. */
const CACHE_NAMES = ['vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc']

export const vllm: EngineProfile = {
  ...USUAL,
  engine: 'vLLM',
  healthRequest: (target) => target.healthPath ?? `${rootOf(target.basePath)}/health`,
  signalsRequests: (target) => [target.signalsPath ?? `${rootOf(target.basePath)}/metrics`],
  recognise: (answer) => modelRows(answer.json).some((row) => text(row.fields['owned_by'])?.toLowerCase() === 'vllm'),
  readHealth: (status) => (status === 200 ? 'ready' : 'bad'),
  readModels,
  readSignals: (metrics) =>
    known<SignalReading>({
      running: sumOf(metrics, ['vllm:num_requests_running']),
      waiting: sumOf(metrics, ['vllm:num_requests_waiting']),
      cacheUsed: shareOf(metrics, CACHE_NAMES),
    }),
}

function readModels(json: unknown, upstreamModel: string): ModelFacts {
  const rows = modelRows(json)
  const row = rows.find((candidate) => candidate.id === upstreamModel)
  const chat = seesImages(upstreamModel) ? [...CHAT, 'vision' as const] : CHAT
  return known<ModelFacts>({
    upstreamModelFound: row !== undefined,
    contextWindowTokens: maxModelLength(rows, row),
    capabilities: row === undefined ? undefined : (purposeOf(upstreamModel) ?? chat),
  })
}
