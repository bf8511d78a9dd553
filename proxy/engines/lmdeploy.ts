/**
 * LMDeploy. `/health` says "initializing", "healthy", "sleeping" or "unhealthy". One that sleeps answers 200 and serves nothing until somebody
 * wakes it, which a probe must not do. What waits is counted twice: in the engine, and before it.
 */
import type { Capability } from '../routing-table/v1.ts'
import { type EngineProfile, type HealthVerdict, rootOf, type SignalReading, USUAL } from './engine.ts'
import { known, text } from './fields.ts'
import { modelRows, plainFacts } from './model-list.ts'
import { shareOf, sumOf } from './prometheus.ts'

const CHAT: readonly Capability[] = ['chat', 'completions', 'tools', 'jsonSchema']

export const lmdeploy: EngineProfile = {
  ...USUAL,
  engine: 'LMDeploy',
  healthRequest: (target) => target.healthPath ?? `${rootOf(target.basePath)}/health`,
  signalsRequests: (target) => [target.signalsPath ?? `${rootOf(target.basePath)}/metrics`],
  recognise: (answer) => modelRows(answer.json).some((row) => text(row.fields['owned_by'])?.toLowerCase() === 'lmdeploy'),
  readHealth,
  readModels: (json, upstreamModel) => {
    const facts = plainFacts(json, upstreamModel)
    return facts.upstreamModelFound ? { ...facts, capabilities: facts.capabilities ?? CHAT } : { upstreamModelFound: false }
  },
  readSignals,
}

function readHealth(status: number, body: string): HealthVerdict {
  if (status === 200) return body.includes('sleeping') ? 'bad' : 'ready'
  return status === 503 && body.includes('initializing') ? 'loading' : 'bad'
}

function readSignals(metrics: string): SignalReading {
  const inEngine = sumOf(metrics, ['lmdeploy:num_requests_waiting'])
  const before = sumOf(metrics, ['lmdeploy:num_api_requests_waiting'])
  return known<SignalReading>({
    running: sumOf(metrics, ['lmdeploy:num_requests_running']),
    waiting: inEngine === undefined && before === undefined ? undefined : (inEngine ?? 0) + (before ?? 0),
    cacheUsed: shareOf(metrics, ['lmdeploy:gpu_cache_usage_perc']),
  })
}
