/**
 * llama.cpp's llama-server, with one model or as a router of many. While a model loads every route answers 503 "Loading model".
 * `/health` says nothing about load, about one model of a router, or about sleep. In router mode asking for a cold model's metrics would
 * load it and evict another: every request of ours carries `autoload=false` and gets 400 instead.
 */
import type { Capability } from '../routing-table/v1.ts'
import {
  type Answer,
  type EngineProfile,
  type HealthVerdict,
  type ModelFacts,
  type ProbeTarget,
  rootOf,
  type SignalReading,
  USUAL,
} from './engine.ts'
import { fields, items, known, parsed, positive, text } from './fields.ts'
import { type ModelRow, modelRows, purposeOf } from './model-list.ts'
import { shareOf, sumOf } from './prometheus.ts'

const CHAT: readonly Capability[] = ['chat', 'completions', 'responses', 'tools', 'jsonSchema']

export const llamaCpp: EngineProfile = {
  ...USUAL,
  engine: 'LlamaCpp',
  // The last event has `timings` with all counts; asked for usage, it would move them to an event that only those who asked get to see.
  usageMustBeAskedFor: false,
  healthRequest: (target) => withoutLoading(target.healthPath ?? `${rootOf(target.basePath)}/health`, target),
  /** `/metrics` needs the flag `--metrics`; `/slots` is on by default and knows no queue. */
  signalsRequests: (target) =>
    (target.signalsPath === undefined ? ['/metrics', '/slots'].map((path) => rootOf(target.basePath) + path) : [target.signalsPath]).map(
      (path) => withoutLoading(path, target),
    ),
  recognise,
  readHealth,
  readModels,
  readSignals: (body) => (body.trimStart().startsWith('[') ? readSlots(body) : readMetrics(body)),
}

function withoutLoading(path: string, target: ProbeTarget): string {
  const query = `model=${encodeURIComponent(target.upstreamModel)}&autoload=false`
  return `${path}${path.includes('?') ? '&' : '?'}${query}`
}

/** Also while it loads, or guards the list by a key: then only the header tells. */
function recognise(answer: Answer): boolean {
  const rows = modelRows(answer.json)
  return answer.headers['server'] === 'llama.cpp' || rows.some((row) => text(row.fields['owned_by']) === 'llamacpp')
}

function readHealth(status: number, body: string): HealthVerdict {
  if (status === 200) return 'ready'
  return status === 503 && body.includes('Loading model') ? 'loading' : 'bad'
}

/** With one model it serves that one under any name; a router's rows carry a `status` and must be named right. */
function readModels(json: unknown, upstreamModel: string): ModelFacts {
  const rows = modelRows(json)
  const named = rows.find((row) => row.id === upstreamModel || items(row.fields['aliases']).includes(upstreamModel))
  const row = named ?? rows.find((candidate) => rows.length === 1 && candidate.fields['status'] === undefined)
  if (row === undefined) return { upstreamModelFound: false }
  return known<ModelFacts>({
    upstreamModelFound: true,
    contextWindowTokens: contextOfSlot(row),
    capabilities: purposeOf(row.id) ?? capabilitiesOf(row),
  })
}

/** The context is divided among the slots. `n_ctx_train` and a router's `context_length` are the model's, not the server's. */
function contextOfSlot(row: ModelRow): number | undefined {
  return positive(fields(row.fields['meta'])['n_ctx'])
}

function capabilitiesOf(row: ModelRow): readonly Capability[] {
  const modalities = items(fields(row.fields['architecture'])['input_modalities'])
  const sees: readonly Capability[] = modalities.includes('image') ? ['vision'] : []
  const hears: readonly Capability[] = modalities.includes('audio') ? ['audio'] : []
  return [...CHAT, ...sees, ...hears]
}

function readMetrics(metrics: string): SignalReading {
  return known<SignalReading>({
    running: sumOf(metrics, ['llamacpp:requests_processing']),
    waiting: sumOf(metrics, ['llamacpp:requests_deferred']),
    cacheUsed: shareOf(metrics, ['llamacpp:kv_cache_usage_ratio']),
  })
}

function readSlots(body: string): SignalReading {
  const slots = items(parsed(body))
  if (slots.length === 0) return {}
  return { running: slots.filter((slot) => fields(slot)['is_processing'] === true).length }
}
