/**
 * Any other server with an OpenAI-like API. All that can be asked is its model list: an answer shows that it lives. One without such a
 * list (404, 405) lives too; one that wants a credential we do not have (401, 403) is of no use.
 */
import { type EngineProfile, type HealthVerdict, type ModelFacts, USUAL } from './engine.ts'
import { known } from './fields.ts'
import { isModelList, maxModelLength, modelRows, plainFacts } from './model-list.ts'

export const generic: EngineProfile = {
  ...USUAL,
  engine: 'Generic',
  healthRequest: (target) => target.healthPath ?? `${target.basePath}/models`,
  signalsRequests: () => [],
  recognise: () => false,
  readHealth,
  readModels,
  readSignals: () => ({}),
}

function readHealth(status: number): HealthVerdict {
  const lives = (status >= 200 && status < 300) || status === 404 || status === 405
  return lives ? 'ready' : 'bad'
}

/** A server without a list is believed to have the model. */
function readModels(json: unknown, upstreamModel: string): ModelFacts {
  if (!isModelList(json)) return { upstreamModelFound: true }
  const rows = modelRows(json)
  const row = rows.find((candidate) => candidate.id === upstreamModel)
  return known<ModelFacts>({ ...plainFacts(json, upstreamModel), contextWindowTokens: maxModelLength(rows, row) })
}
