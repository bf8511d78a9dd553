import type { Facts } from '../decide/input.ts'
import { chat } from '../dialects/chat.ts'
import type { Ending } from '../forward/run.ts'
import { compileTable } from '../routing-table/compile.ts'
import type { CompiledModel, CompiledTable } from '../routing-table/compiled.ts'
import type { Backend, Model } from '../routing-table/v1.ts'
import type { RequestRecord } from '../serve/lifecycle.ts'

/** For tests: a table of models "team/a", "team/b" and so on with an endpoint each, and a policy "team/auto"; records of requests to it. */
const BACKEND: Backend = {
  name: 'gpu',
  weight: 1,
  priority: 0,
  engine: 'vLLM',
  upstreamModel: 'upstream',
  health: {},
  signals: {},
  timeouts: {},
  headers: [],
  probed: true,
  simulated: false,
}

const modelNamed = (name: string): Model => ({
  ref: `team/${name}`,
  generation: 1,
  names: [name],
  aliases: [],
  visibility: 'Public',
  access: { from: 'Same' },
  weight: 1,
  priority: 0,
  loadBalancing: 'PowerOfTwo',
  retry: {},
  passthrough: { enabled: false, forwardAuth: false },
  backends: [BACKEND],
})

const FALLBACK = { enabled: false, when: [], targets: [] }

export function tableOf(names: readonly string[]): CompiledTable {
  const models = names.map(modelNamed)
  const rule = {
    name: 'default',
    matches: [],
    strategy: 'WeightedRandom' as const,
    targets: models.map(({ ref }) => ({ model: ref, weight: 1 })),
    fallback: FALLBACK,
  }
  return compileTable({
    version: 1,
    epoch: 3,
    seq: 7,
    models,
    policies: [{ ref: 'team/auto', generation: 1, names: ['auto'], access: { from: 'Same' }, rules: [rule] }],
    endpointSets: names.map((name) => ({
      model: `team/${name}`,
      backend: 'gpu',
      endpoints: [{ id: `${name}-0`, origin: 'http://10.0.0.7:8000', basePath: '/v1' }],
    })),
    credentials: [],
    clientKeys: [],
  })
}

export const PROMPT = 'the prompt, which nobody may log'
const CLIENT = { name: 'team/key-of-ann', namespace: 'team' }

const FACTS: Facts = {
  route: 'chat',
  path: '/v1/chat/completions',
  asked: 'auto',
  stream: true,
  needs: ['chat', 'tools'],
  promptTokens: 120,
  maxOutputTokens: 256,
  headers: { authorization: 'Bearer sk-of-ann', 'x-team': 'blue' },
  client: CLIENT,
}

function modelOf(table: CompiledTable, name: string): CompiledModel {
  const model = table.models.get(`team/${name}`)
  if (model === undefined) throw new Error(`no model ${name} in the fixture`)
  return model
}

/** A stream that `first` failed and `second` answered, under the policy "team/auto". */
export function answeredBy(
  table: CompiledTable,
  { first, second, asked = 'auto' }: { first?: string; second: string; asked?: string },
): RequestRecord {
  const model = modelOf(table, second)
  const [endpoint] = model.endpoints
  if (endpoint === undefined) throw new Error('no endpoint in the fixture')
  const failed = { backend: 'gpu', durationMs: 100, outcome: 'RETRY_SAME', cause: `HTTP 500 internal_error cannot read ${PROMPT}` } as const
  const ending: Ending = {
    kind: 'answered',
    sent: {
      kind: 'send',
      model,
      endpoint,
      upstreamModel: 'upstream',
      clampOutputTokens: undefined,
      rule:
        asked === 'auto'
          ? {
              name: 'default',
              key: 'team/auto/default',
              strategy: 'WeightedRandom',
              fallback: FALLBACK,
              sticky: undefined,
              policy: undefined,
            }
          : { name: 'direct', key: model.entry.ref, strategy: 'WeightedRandom', fallback: FALLBACK, sticky: undefined, policy: undefined },
      why: 'weight 1/2',
      steps: [],
      candidates: [...table.models.values()].map((candidate) => ({
        model: candidate,
        weight: 1,
        tier: 0,
        endpoints: candidate.endpoints,
        lost: candidate === model ? undefined : `cooling down: HTTP 500 internal_error cannot read ${PROMPT}`,
      })),
    },
    attempts: [
      ...(first === undefined ? [] : [{ ...failed, model: `team/${first}`, endpoint: `${first}-0` }]),
      { model: model.entry.ref, backend: 'gpu', endpoint: endpoint.id, durationMs: 900, outcome: 'answered', cause: undefined },
    ],
    usage: { inputTokens: 118, outputTokens: 101, cachedInputTokens: 64 },
    firstTokenMs: 400,
    malformed: 2,
  }
  return {
    ...REFUSED,
    facts: { ...FACTS, asked },
    ending,
    error: undefined,
    status: 200,
    durationMs: 1000,
    overheadMs: 0.12,
    heldMs: 0,
    bytesSent: 30_000,
  }
}

/** Refused before anything was read. */
export const REFUSED: RequestRecord = {
  atMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  requestId: 'request-1',
  traceparent: undefined,
  path: '/v1/chat/completions',
  dialect: chat,
  client: CLIENT,
  facts: undefined,
  ending: undefined,
  error: { code: 'invalid_json', message: `The body is not JSON: ${PROMPT}` },
  status: 400,
  durationMs: 1.5,
  overheadMs: undefined,
  heldMs: 0,
  bytesSent: 0,
  table: { epoch: 3, seq: 7 },
}

/** Nobody serves what was asked for. */
export function refusedUnknown(asked: string): RequestRecord {
  const refused = {
    kind: 'refuse',
    code: 'model_not_found',
    message: `No model "${asked}".`,
    param: 'model',
    retryAfterMs: undefined,
    rule: 'none',
    why: 'model_not_found',
    candidates: [],
  } as const
  const error = { code: 'model_not_found', message: refused.message } as const
  const ending: Ending = {
    kind: 'failed',
    error,
    refused,
    sent: undefined,
    attempts: [],
    usage: undefined,
    firstTokenMs: undefined,
    malformed: 0,
  }
  return { ...REFUSED, facts: { ...FACTS, asked }, ending, error, status: 404 }
}
