/**
 * LocalAI. It loads a model when the first request for it comes, so no probe of ours asks for a token. It has no queue that it tells of, and its
 * `/metrics` is for administrators: how busy it is only our own counts say. Its model list looks like anyone's; `GET /version` is its own.
 */
import { type EngineProfile, type HealthVerdict, rootOf, USUAL } from './engine.ts'
import { fields, text } from './fields.ts'
import { plainFacts } from './model-list.ts'

export const localAi: EngineProfile = {
  ...USUAL,
  engine: 'LocalAI',
  healthRequest: (target) => target.healthPath ?? `${rootOf(target.basePath)}/readyz`,
  signalsRequests: () => [],
  /** "2.26.0 (a1b2c3d4)". */
  recognise: ({ status, json }) => status === 200 && /^\S+ \([0-9a-f]{6,40}\)$/.test(text(fields(json)['version']) ?? ''),
  readHealth,
  readModels: plainFacts,
  readSignals: () => ({}),
}

/** Versions without this route live all the same. */
function readHealth(status: number): HealthVerdict {
  if (status === 200 || status === 404) return 'ready'
  return status === 503 ? 'loading' : 'bad'
}
