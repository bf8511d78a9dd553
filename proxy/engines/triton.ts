/**
 * Triton's OpenAI frontend. With the TensorRT-LLM backend it counts requests by their state; with others it knows only who waits. The server
 * itself has its metrics at a port of their own (8002), which a path cannot name: behind that server alone nothing is known of its load.
 */
import type { Capability } from '../routing-table/v1.ts'
import { type EngineProfile, rootOf, type SignalReading, USUAL } from './engine.ts'
import { known, text } from './fields.ts'
import { modelRows, plainFacts } from './model-list.ts'
import { shareOf, sumOf } from './prometheus.ts'

const CHAT: readonly Capability[] = ['chat', 'completions', 'tools']

export const triton: EngineProfile = {
  ...USUAL,
  engine: 'Triton',
  healthRequest: (target) => target.healthPath ?? `${rootOf(target.basePath)}/health/ready`,
  signalsRequests: (target) => [target.signalsPath ?? `${rootOf(target.basePath)}/metrics`],
  recognise: (answer) => modelRows(answer.json).some((row) => text(row.fields['owned_by']) === 'Triton Inference Server'),
  readHealth: (status) => (status === 200 ? 'ready' : 'bad'),
  readModels: (json, upstreamModel) => {
    const facts = plainFacts(json, upstreamModel)
    return facts.upstreamModelFound ? { ...facts, capabilities: facts.capabilities ?? CHAT } : { upstreamModelFound: false }
  },
  readSignals: (metrics) =>
    known<SignalReading>({
      running: sumOf(metrics, ['nv_trt_llm_request_metrics'], (labels) => labels.includes('request_type="scheduled"')),
      waiting:
        sumOf(metrics, ['nv_trt_llm_request_metrics'], (labels) => labels.includes('request_type="waiting"')) ??
        sumOf(metrics, ['nv_inference_pending_request_count']),
      cacheUsed: shareOf(metrics, ['nv_trt_llm_kv_cache_block_metrics'], (labels) => labels.includes('kv_cache_block_type="fraction"')),
    }),
}
