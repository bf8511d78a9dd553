/**
 * TensorRT-LLM's `trtllm-serve`. Its `/metrics` is no Prometheus text but a list of statistics that reading takes away from everybody else: it is
 * never asked. `/prometheus/metrics` is there when the engine returns performance metrics.
 */
import type { Capability } from '../routing-table/v1.ts'
import { type EngineProfile, rootOf, type SignalReading, USUAL } from './engine.ts'
import { known, text } from './fields.ts'
import { modelRows, plainFacts } from './model-list.ts'
import { shareOf, sumOf } from './prometheus.ts'

const CHAT: readonly Capability[] = ['chat', 'completions', 'responses', 'tools', 'jsonSchema']

export const tensorRtLlm: EngineProfile = {
  ...USUAL,
  engine: 'TensorRTLLM',
  healthRequest: (target) => target.healthPath ?? `${rootOf(target.basePath)}/health`,
  signalsRequests: (target) => [target.signalsPath ?? `${rootOf(target.basePath)}/prometheus/metrics`],
  recognise: (answer) => modelRows(answer.json).some((row) => text(row.fields['owned_by'])?.toLowerCase() === 'tensorrt_llm'),
  readHealth: (status) => (status === 200 ? 'ready' : 'bad'),
  readModels: (json, upstreamModel) => {
    const facts = plainFacts(json, upstreamModel)
    return facts.upstreamModelFound ? { ...facts, capabilities: facts.capabilities ?? CHAT } : { upstreamModelFound: false }
  },
  readSignals: (metrics) =>
    known<SignalReading>({
      running: sumOf(metrics, ['trtllm_num_requests_running']),
      waiting: sumOf(metrics, ['trtllm_num_requests_waiting']),
      cacheUsed: shareOf(metrics, ['trtllm_kv_cache_utilization']),
    }),
}
