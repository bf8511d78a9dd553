/**
 * How a case in `cases/` is read and its answer written. A case holds only what matters: `models` and `policies` with the fields that are
 * not default, `facts`, what is `live` per endpoint, round robin `cursors`, `past` attempts, `nowMs`, `dice`. Model "a" is "default/a" with
 * one backend "gpu" of one endpoint "a-gpu-0" (a last resort is "a-gpu-last"); targets are names with their weights.
 */
import assert from 'node:assert/strict'
import { dump, load } from 'js-yaml'
import { plainBackend, plainModel } from '../../test/support/table-defaults.ts'
import type { CompiledModel } from '../routing-table/compiled.ts'
import {
  type Backend,
  compileTable,
  FALLBACK_CLASSES,
  type Model,
  type Policy,
  type PolicyRule,
  parseTable,
} from '../routing-table/index.ts'
import { CLOSED } from './circuit-view.ts'
import type { Decision } from './decision.ts'
import type { EndpointView } from './endpoint-view.ts'
import type { Candidate, Facts, Input, PastAttempt } from './input.ts'
import type { LimitsView, Shortage } from './limits-view.ts'
import { loadsOf, type ModelView, paceOf, standingOf, takersOf } from './model-view.ts'
import { outlookOf } from './outlook.ts'
import { NO_PACES, type Pace } from './pace-view.ts'
import { PLAIN_TOKENS, type TokensView } from './tokens-view.ts'

type BackendLines = Partial<Backend> & { readonly endpoints?: number; readonly lastResort?: boolean }
type ModelLines = Partial<Omit<Model, 'backends'>> & { readonly backends?: readonly BackendLines[] }
type Weights = Readonly<Record<string, number>>
interface RuleLines extends Partial<Omit<PolicyRule, 'targets' | 'fallback'>> {
  readonly targets: Weights
  readonly fallback?: { readonly when?: readonly string[]; readonly targets?: readonly string[] }
}
/** The rules of a policy, or the fields of its only one. */
type PolicyLines = Partial<Pick<Policy, 'names' | 'access' | 'clients' | 'costCeiling' | 'unknownPrice'>> &
  Partial<RuleLines> & { readonly rules?: readonly RuleLines[] }
type PastLines = Pick<PastAttempt, 'failure' | 'when' | 'mayRepeat' | 'spent' | 'interrupted' | 'costUsd'> & { readonly endpoint: string }

/** `pace`: for prompts of any size, of four answers. */
type LiveLines = Partial<EndpointView> & { readonly pace?: Partial<Pace> }

interface ShortLines extends Partial<Omit<Shortage, 'limit'>> {
  readonly limit: Shortage['limit']
}
interface LimitLines {
  /** What is short, by model. */
  readonly models?: Readonly<Record<string, ShortLines>>
  readonly client?: ShortLines
  /** The client's, under a rule that has limits of its own. */
  readonly rule?: ShortLines
  /** By endpoint. */
  readonly quotaPercent?: Readonly<Record<string, number>>
}

interface Case {
  readonly models: Readonly<Record<string, ModelLines>>
  readonly policies?: Readonly<Record<string, PolicyLines>>
  /** `body`: the request as it was sent, for expressions. */
  readonly facts?: Partial<Facts> & {
    readonly body?: Readonly<Record<string, unknown>>
    readonly sessionKey?: number
    readonly prefixKey?: number
  }
  readonly live?: Readonly<Record<string, LiveLines>>
  readonly cursors?: Readonly<Record<string, Weights>>
  readonly past?: readonly PastLines[]
  /** The request has waited, and its turn has come. */
  readonly turn?: boolean
  /** Requests that wait, by model. */
  readonly waiting?: Weights
  readonly limits?: LimitLines
  /** By model: tokens of the prompt as it counts them, and how certain that is. */
  readonly tokens?: Readonly<Record<string, { readonly of: number; readonly certain: number }>>
  readonly admitted?: boolean
  /** The numbers that the strategy went by are written too. */
  readonly explain?: boolean
  readonly nowMs?: number
  readonly dice?: number
}

const CASE_FIELDS = [
  'models',
  'policies',
  'facts',
  'live',
  'cursors',
  'past',
  'turn',
  'waiting',
  'limits',
  'tokens',
  'admitted',
  'explain',
  'nowMs',
  'dice',
]
const LIMIT_FIELDS = ['models', 'client', 'rule', 'quotaPercent']
const PAST_FIELDS = ['endpoint', 'failure', 'when', 'mayRepeat', 'spent', 'interrupted', 'costUsd']

const FACTS: Facts = {
  route: 'chat',
  path: '/v1/chat/completions',
  method: 'POST',
  asked: 'auto',
  stream: false,
  needs: ['chat'],
  promptTokens: 100,
  maxOutputTokens: undefined,
  headers: {},
  client: { name: undefined, namespace: 'default' },
}

const VIEW: EndpointView = {
  inFlight: 0,
  unreadTokens: 0,
  ready: undefined,
  notReadyBecause: undefined,
  waiting: undefined,
  running: undefined,
  signalsAtMs: Number.NEGATIVE_INFINITY,
  circuit: CLOSED,
  parked: undefined,
  probing: false,
  retestedBy: 'request',
  coolUntilMs: 0,
  coolBecause: undefined,
  unreached: false,
  capabilities: undefined,
  lacking: [],
  contextWindowTokens: undefined,
  outputPerSecond: undefined,
  outputs: { meanTokens: 256 },
  adapters: undefined,
  settled: true,
  paces: NO_PACES,
  inFlightAtSignals: 0,
  unbegun: 0,
  beginEveryMs: undefined,
  promptTokenMs: undefined,
}

/** Fails on a field that nobody reads, and on a table that no proxy would take. */
export function readCase(file: string, text: string): Input {
  const read = load(text)
  assert.ok(isCase(read), `${file} has no models`)
  const {
    facts = {},
    live = {},
    cursors = {},
    past = [],
    turn = false,
    waiting = {},
    limits = {},
    tokens = {},
    admitted = false,
    explain = false,
    nowMs = 0,
    dice = 0,
  } = read
  assert.deepEqual(unknownFields(read, CASE_FIELDS), [])
  assert.deepEqual(unknownFields(facts, [...Object.keys(FACTS), 'body', 'sessionKey', 'prefixKey']), [])
  assert.deepEqual(unknownFields(limits, LIMIT_FIELDS), [])
  for (const view of Object.values(live)) assert.deepEqual(unknownFields(view, [...Object.keys(VIEW), 'pace']), [])
  for (const attempt of past) assert.deepEqual(unknownFields(attempt, PAST_FIELDS), [])
  const table = tableOf(read)
  const viewAt = (id: string): EndpointView => viewOf(live[id] ?? {})
  const modelAt = (model: CompiledModel): ModelView => {
    const views = model.withLastResorts.map(({ id }) => viewAt(id))
    const standing = standingOf(model, views, () => limits.quotaPercent !== undefined, nowMs)
    return { ...standing, limited: true, loads: loadsOf(takersOf(model, views, nowMs)), pace: (bucket) => paceOf(views, bucket) }
  }
  assert.deepEqual(
    [...Object.keys(live), ...past.map(({ endpoint }) => endpoint)].filter((id) => !table.endpoints.has(id)),
    [],
  )
  return {
    facts: factsOf(facts),
    table,
    live: {
      endpoint: viewAt,
      model: modelAt,
      outlook: (candidates) => outlookOf(candidates.map(({ model }) => modelAt(model))),
      cursor: (key) => (cursors[key] === undefined ? undefined : new Map(Object.entries(cursors[key]))),
      limits: limitsOf(limits),
      tokens: tokensOf(tokens),
    },
    nowMs,
    dice,
    past: past.map(({ endpoint, ...attempt }) => ({ endpointId: endpoint, model: table.endpoints.get(endpoint)?.model ?? '', ...attempt })),
    turn,
    admitted,
    explain,
    waitingFor: (model) => waiting[plain(model)] ?? 0,
  }
}

function factsOf({ body, sessionKey, prefixKey, ...given }: NonNullable<Case['facts']>): Facts {
  const keys = { session: () => sessionKey, prefix: () => prefixKey }
  return { ...FACTS, keys, ...given, ...(body !== undefined && { readBody: () => body }) }
}

const viewOf = ({ pace, ...given }: LiveLines): EndpointView => ({
  ...VIEW,
  ...(pace !== undefined && { paces: NO_PACES.map((none) => ({ ...none, weight: 4, ...pace })) }),
  ...given,
})

const shortage = (lines: ShortLines | undefined): Shortage | undefined =>
  lines && { key: lines.limit, max: 100, remaining: 0, needed: 1, resetMs: 20_000, leased: false, ...lines }

const tokensOf = (tokens: Case['tokens'] = {}): TokensView => ({
  of: (model, facts) => tokens[plain(model)]?.of ?? PLAIN_TOKENS.of(model, facts),
  certain: (model, facts) => tokens[plain(model)]?.certain ?? PLAIN_TOKENS.certain(model, facts),
})

/** An upstream's share begins to fall at 80 % of its quota. */
function limitsOf({ models = {}, client, rule, quotaPercent = {} }: LimitLines): LimitsView {
  return {
    modelShortage: (model) => shortage(models[plain(model)]),
    clientShortage: ({ policy, limits }) => (policy === undefined ? undefined : shortage(limits === undefined ? client : rule)),
    headroom: ({ id }) => Math.min(1, (100 - (quotaPercent[id] ?? 0)) / 20),
    quotaPercent: ({ id }) => quotaPercent[id] ?? 0,
  }
}

const isCase = (value: unknown): value is Case =>
  typeof value === 'object' && value !== null && 'models' in value && typeof value.models === 'object'

const unknownFields = (value: object, known: readonly string[]): string[] => Object.keys(value).filter((key) => !known.includes(key))

const refOf = (name: string): string => (name.includes('/') ? name : `default/${name}`)
const plain = (name: string): string => name.slice(name.indexOf('/') + 1)

function tableOf({ models, policies = {} }: Case): Input['table'] {
  const parsed = parseTable({
    version: 1,
    epoch: 0,
    seq: 0,
    models: Object.entries(models).map(([name, lines]) => modelOf(name, lines)),
    policies: Object.entries(policies).map(([name, lines]) => policyOf(name, lines)),
    endpointSets: Object.entries(models).flatMap(([name, { backends = [{}] }]) =>
      backends.map((lines, index) => setOf(name, lines, index)),
    ),
    credentials: [],
    clientKeys: [],
  })
  assert.ok('table' in parsed, `no table: ${JSON.stringify(parsed)}`)
  return compileTable(parsed.table)
}

const modelOf = (name: string, { backends = [{}], ...given }: ModelLines): Model =>
  plainModel(refOf(name), { ...given, backends: backends.map((lines, index) => backendOf(plain(name), lines, index)) })

function backendOf(model: string, lines: BackendLines, index: number): Backend {
  const { endpoints: _, lastResort: _last, ...given } = lines
  return plainBackend(backendName(index), model, { probed: true, ...given })
}

const backendName = (index: number): string => (index === 0 ? 'gpu' : `gpu${index + 1}`)

function setOf(name: string, { name: backend, endpoints = 1, lastResort = false }: BackendLines, index: number): object {
  const shown = backend ?? backendName(index)
  const prefix = name.replace('/', '-')
  const made = Array.from({ length: endpoints }, (_, at) => ({
    id: `${prefix}-${shown}-${at}`,
    origin: `http://10.0.0.${at}`,
    basePath: '/v1',
  }))
  const last = { id: `${prefix}-${shown}-last`, origin: 'http://10.96.0.1', basePath: '/v1' }
  return { model: refOf(name), backend: shown, endpoints: made, ...(lastResort && { lastResort: last }) }
}

function policyOf(
  name: string,
  { names = [plain(name)], access = { from: 'Same' }, clients, costCeiling, unknownPrice, rules, ...only }: PolicyLines,
): object {
  const list = rules ?? [{ targets: {}, ...only }]
  return {
    ref: refOf(name),
    generation: 1,
    names,
    access,
    rules: list.map(ruleOf),
    ...JSON.parse(JSON.stringify({ clients, costCeiling, unknownPrice })),
  }
}

function ruleOf({ targets, fallback, ...given }: RuleLines): object {
  const { when = FALLBACK_CLASSES.filter((one) => one !== 'ContentFilter'), targets: chain = [] } = fallback ?? {}
  return {
    name: 'default',
    matches: [],
    strategy: 'WeightedRandom',
    ...given,
    targets: Object.entries(targets).map(([model, weight]) => ({ model: refOf(model), weight })),
    fallback: { enabled: fallback !== undefined, when, targets: chain.map(chainItem) },
  }
}

/** "policy NAME" leads to another policy. */
function chainItem(item: string): object {
  const [, policy] = /^policy (.+)$/.exec(item) ?? []
  return policy === undefined ? { model: refOf(item), weight: 1 } : { policy: refOf(policy) }
}

export function writeDecision(decision: Decision): string {
  const { candidates } = decision
  const shown = { ...told(decision), ...(candidates.length > 0 && { candidates: candidates.map(shownCandidate) }) }
  return dump(shown, { lineWidth: -1, noRefs: true, flowLevel: 2 })
}

function told(decision: Decision): object {
  if (decision.kind === 'refuse') {
    const { kind, code, message, param, retryAfterMs, rule, why } = decision
    return { kind, code, message, ...(param !== undefined && { param }), ...(retryAfterMs !== undefined && { retryAfterMs }), rule, why }
  }
  if (decision.kind === 'hold') {
    const { kind, lines, wakeAtMs, maxWaitMs, priority, refusal, rule, why } = decision
    const waits = { lines: lines.map(({ key }) => key), ...(wakeAtMs !== undefined && { wakeAtMs }), maxWaitMs, priority }
    return { kind, ...waits, otherwise: refusal.code, rule, why }
  }
  const { kind, endpoint, upstreamModel, clampOutputTokens, rule, why, steps } = decision
  return {
    kind,
    endpoint: endpoint.id,
    ...(upstreamModel !== decision.model.name && { upstreamModel }),
    ...(clampOutputTokens !== undefined && { clampOutputTokens }),
    rule: rule.name,
    why,
    ...(steps.length > 0 && { turns: steps.map(({ key, chosen }) => `${key}: ${chosen}`) }),
  }
}

const shownCandidate = ({ model, tier, endpoints, lost, factors }: Candidate): object => ({
  model: model.namespace === 'default' ? model.name : model.entry.ref,
  ...(tier > 0 && { tier }),
  ...(endpoints.length > 0 && { endpoints: endpoints.map(({ id }) => id) }),
  ...(lost !== undefined && { lost }),
  ...(factors !== undefined && { factors }),
})
