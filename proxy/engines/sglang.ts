/**
 * SGLang. `/health` may run a token through the engine and waits in steps of a second, longer than a probe should; `/v1/loads` needs no flag and
 * tells the queue of each data-parallel rank besides. It answers already while the engine warms up: requests queue there until then.
 * `/metrics` has a series for each tensor- and pipeline-parallel rank and for each priority too: those are one queue seen several times, and of a
 * data-parallel rank the greatest is the whole. That rank's own number of the others need not be 0.
 */
import type { Capability } from '../routing-table/v1.ts'
import { type EngineProfile, type HealthVerdict, type ModelFacts, rootOf, type SignalReading, USUAL } from './engine.ts'
import { known, text } from './fields.ts'
import { maxModelLength, modelRows, purposeOf, seesImages } from './model-list.ts'
import { shareOf, sumOfEach } from './prometheus.ts'

const CHAT: readonly Capability[] = ['chat', 'completions', 'responses', 'tools', 'jsonSchema']

export const sglang: EngineProfile = {
  ...USUAL,
  engine: 'SGLang',
  healthRequest: (target) => target.healthPath ?? `${rootOf(target.basePath)}/v1/loads`,
  signalsRequests: (target) =>
    target.signalsPath === undefined
      ? ['/v1/loads?include=core&format=prometheus', '/metrics'].map((path) => rootOf(target.basePath) + path)
      : [target.signalsPath],
  recognise: (answer) => modelRows(answer.json).some((row) => text(row.fields['owned_by'])?.toLowerCase() === 'sglang'),
  readHealth,
  readModels,
  readSignals: (metrics) =>
    known<SignalReading>({
      running: sumOfEach(metrics, ['sglang:num_running_reqs'], 'dp_rank'),
      // The first in `/metrics`, the second in `/v1/loads`.
      waiting: sumOfEach(metrics, ['sglang:num_queue_reqs', 'sglang:num_waiting_reqs'], 'dp_rank'),
      cacheUsed: shareOf(metrics, ['sglang:token_usage']),
    }),
}

/** Versions without `/v1/loads` live all the same. */
function readHealth(status: number, body: string): HealthVerdict {
  if (status === 200 || status === 404) return 'ready'
  return status === 503 && /starting/i.test(body) ? 'loading' : 'bad'
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
