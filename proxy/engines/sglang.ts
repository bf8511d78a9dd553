/**
 * SGLang. `/health` may run a token through the engine and waits in steps of a second, longer than a probe should; `/v1/loads` needs no flag, is
 * answered by the scheduler itself, and tells its queue besides. Metrics are labelled by rank: the queues of data-parallel ranks add up, those of
 * tensor- and pipeline-parallel ranks are one queue seen several times.
 */
import type { Capability } from '../routing-table/v1.ts'
import { type EngineProfile, type HealthVerdict, type ModelFacts, rootOf, type SignalReading, USUAL } from './engine.ts'
import { known, text } from './fields.ts'
import { maxModelLength, modelRows, purposeOf, seesImages } from './model-list.ts'
import { shareOf, sumOf } from './prometheus.ts'

const CHAT: readonly Capability[] = ['chat', 'completions', 'responses', 'tools', 'jsonSchema']

export const sglang: EngineProfile = {
  ...USUAL,
  engine: 'SGLang',
  healthRequest: (target) => target.healthPath ?? `${rootOf(target.basePath)}/v1/loads`,
  signalsRequests: (target) =>
    target.signalsPath === undefined
      ? ['/v1/loads?format=prometheus', '/metrics'].map((path) => rootOf(target.basePath) + path)
      : [target.signalsPath],
  recognise: (answer) => modelRows(answer.json).some((row) => text(row.fields['owned_by'])?.toLowerCase() === 'sglang'),
  readHealth,
  readModels,
  readSignals: (metrics) =>
    known<SignalReading>({
      running: sumOf(metrics, ['sglang:num_running_reqs'], isFirstOfItsRank),
      waiting: sumOf(metrics, ['sglang:num_queue_reqs'], isFirstOfItsRank),
      cacheUsed: shareOf(metrics, ['sglang:token_usage']),
    }),
}

/** Versions without `/v1/loads` live all the same. */
function readHealth(status: number, body: string): HealthVerdict {
  if (status === 200 || status === 404) return 'ready'
  return status === 503 && /starting/i.test(body) ? 'loading' : 'bad'
}

/** Without labels of such ranks it is the only one. */
const isFirstOfItsRank = (labels: string): boolean => !/[{,]\s*(tp|pp)_rank="(?!0")/.test(labels)

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
