/**
 * Hugging Face's text-generation-inference. It serves one model under any name; its list has that model as its own owner, created at 0. While it
 * loads nothing answers. Its window stands in `/info`.
 */
import type { Capability } from '../routing-table/v1.ts'
import { type EngineProfile, rootOf, type SignalReading, USUAL } from './engine.ts'
import { fields, known, positive } from './fields.ts'
import { modelRows, purposeOf } from './model-list.ts'
import { sumOf } from './prometheus.ts'

const CHAT: readonly Capability[] = ['chat', 'completions', 'tools', 'jsonSchema']

export const tgi: EngineProfile = {
  ...USUAL,
  engine: 'TGI',
  healthRequest: (target) => target.healthPath ?? `${rootOf(target.basePath)}/health`,
  signalsRequests: (target) => [target.signalsPath ?? `${rootOf(target.basePath)}/metrics`],
  recognise: (answer) => {
    const [row, ...more] = modelRows(answer.json)
    return row !== undefined && more.length === 0 && row.fields['created'] === 0 && row.fields['owned_by'] === row.id
  },
  readHealth: (status) => (status === 200 ? 'ready' : 'bad'),
  readModels: (_json, upstreamModel) => ({ upstreamModelFound: true, capabilities: purposeOf(upstreamModel) ?? CHAT }),
  info: {
    request: (target) => `${rootOf(target.basePath)}/info`,
    read: (json) => known({ contextWindowTokens: positive(fields(json)['max_total_tokens']) }),
  },
  readSignals: (metrics) =>
    known<SignalReading>({
      running: sumOf(metrics, ['tgi_batch_current_size']),
      waiting: sumOf(metrics, ['tgi_queue_size']),
    }),
}
