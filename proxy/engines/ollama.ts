/**
 * Ollama. `/` answers as long as the server runs and knows no model; there is no queue metric, so only our own in-flight counts say how
 * busy it is. `/api/ps` lists what is loaded, and the context each was loaded with: beyond it Ollama cuts prompts silently.
 */
import type { Capability } from '../routing-table/v1.ts'
import { type EngineProfile, type ModelFacts, rootOf, type SignalReading, USUAL } from './engine.ts'
import { fields, items, known, parsed, positive, text } from './fields.ts'
import { modelRows, purposeOf, seesImages } from './model-list.ts'

const CHAT: readonly Capability[] = ['chat', 'completions', 'responses', 'tools', 'jsonSchema']

export const ollama: EngineProfile = {
  ...USUAL,
  engine: 'Ollama',
  healthRequest: (target) => target.healthPath ?? `${rootOf(target.basePath)}/`,
  signalsRequests: (target) => [target.signalsPath ?? `${rootOf(target.basePath)}/api/ps`],
  /** Its model list looks like anyone's; `GET /api/version` is its own: `{"version":"0.12.6"}` and nothing else. */
  recognise: (answer) =>
    answer.status === 200 && /^[\w.+-]+$/.test(text(fields(answer.json)['version']) ?? '') && Object.keys(fields(answer.json)).length === 1,
  readHealth: (status) => (status === 200 ? 'ready' : 'bad'),
  readModels,
  readSignals,
}

function readModels(json: unknown, upstreamModel: string): ModelFacts {
  const found = modelRows(json).some((row) => sameModel(row.id, upstreamModel))
  if (!found) return { upstreamModelFound: false }
  const chat = seesImages(upstreamModel) ? [...CHAT, 'vision' as const] : CHAT
  return { upstreamModelFound: true, capabilities: purposeOf(upstreamModel) ?? chat }
}

function readSignals(body: string, target: { model: string }): SignalReading {
  const loaded = items(fields(parsed(body))['models']).map(fields)
  const row = loaded.find((model) => sameModel(text(model['model']) ?? text(model['name']) ?? '', target.model))
  return known<SignalReading>({ contextWindowTokens: positive(row?.['context_length']) })
}

/** A name without a tag means `:latest`. */
function sameModel(listed: string, wanted: string): boolean {
  return listed === wanted || listed === `${wanted}:latest` || `${listed}:latest` === wanted
}
