import type { Backend, Endpoint, RoutingTable } from '../../proxy/routing-table/index.ts'
import type { ModelResource, PolicyResource } from '../resources/snapshot.ts'
import type { Problem } from '../translate/problems.ts'
import type { ObjectStatus } from '../translate/statuses.ts'
import type { EndpointVotes, Heard, ProgrammingFacts, Translated } from './facts.ts'

/** Where a test's objects live, and what it changes of them. */
export interface Scene {
  readonly namespace?: string
  readonly generation?: number
  /** Endpoint ids of the model's backends. */
  readonly endpoints?: Readonly<Record<string, readonly string[]>>
  readonly problems?: readonly Problem[]
  /** False: translate left the objects out of the table. */
  readonly inTable?: boolean
}

/** A LlamaModel `m` with backends, and a RoutingPolicy `p` whose own targets are `m`, as translate speaks of them. */
export function translated(scene: Scene = {}): Translated {
  const { namespace = 'team-a', generation = 1, endpoints = { gpu: ['e1', 'e2'] }, problems = [], inTable = true } = scene
  const metadata = (name: string) => ({ namespace, name, generation, labels: {}, annotations: {} })
  const backends = Object.keys(endpoints)
  const model: ModelResource = {
    kind: 'LlamaModel',
    metadata: metadata('m'),
    spec: { ...MODEL_DEFAULTS, backends: backends.map((name) => ({ name, weight: 1, priority: 0, engine: 'Auto', url: 'http://h' })) },
  }
  const policy: PolicyResource = {
    kind: 'RoutingPolicy',
    metadata: metadata('p'),
    spec: { virtualModels: ['auto'], access: { from: 'Same' }, targets: [{ model: 'm' }], unknownPrice: 'Allow' },
  }
  const ref = `${namespace}/m`
  const endpointSets = Object.entries(endpoints).map(([backend, ids]) => ({ model: ref, backend, endpoints: ids.map(endpoint) }))
  const table = { ...tableOf(namespace, generation, backends), endpointSets }
  return {
    resources: { models: new Map([[ref, model]]), policies: new Map([[`${namespace}/p`, policy]]) },
    table: inTable ? table : { models: [], policies: [], endpointSets: [] },
    statuses: [
      status('LlamaModel', ref, generation, problems, { engines: 'Auto', backends: backends.join(',') }),
      status('RoutingPolicy', `${namespace}/p`, generation, problems, { virtualModels: 'auto', targets: 'm' }),
    ],
    problems,
  }
}

const MODEL_DEFAULTS = {
  visibility: 'Public',
  access: { from: 'Same' },
  weight: 1,
  priority: 0,
  passthrough: { enabled: false, forwardAuth: false },
} as const

const endpoint = (id: string): Endpoint => ({ id, origin: 'http://h', basePath: '/v1' })

function tableOf(namespace: string, generation: number, names: readonly string[]): Pick<RoutingTable, 'models' | 'policies'> {
  const backends = names.map((name): Backend => ({ ...BACKEND, name }))
  const shared = { generation, access: { from: 'Same' }, names: [] } as const
  const rule = {
    name: 'default',
    matches: [],
    strategy: 'WeightedRandom',
    targets: [{ model: `${namespace}/m`, weight: 1 }],
    fallback: { enabled: false, when: [], targets: [] },
  } as const
  return {
    models: [
      {
        ...shared,
        ref: `${namespace}/m`,
        aliases: [],
        visibility: 'Public',
        weight: 1,
        priority: 0,
        loadBalancing: 'PowerOfTwo',
        retry: {},
        passthrough: { enabled: false, forwardAuth: false },
        backends,
      },
    ],
    policies: [{ ...shared, ref: `${namespace}/p`, rules: [rule] }],
  }
}

const BACKEND: Omit<Backend, 'name'> = {
  weight: 1,
  priority: 0,
  engine: 'Auto',
  upstreamModel: 'm',
  health: {},
  signals: {},
  timeouts: {},
  headers: [],
  probed: true,
  simulated: false,
}

function status(
  kind: ObjectStatus['kind'],
  ref: string,
  observedGeneration: number,
  problems: readonly Problem[],
  summary: ObjectStatus['summary'],
): ObjectStatus {
  const mine = problems.filter(({ object }) => object === `${kind} ${ref}`)
  const [first] = mine
  return {
    kind,
    ref,
    observedGeneration,
    servedNames: kind === 'LlamaModel' ? ['m'] : ['auto'],
    conditions: [
      { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' },
      first === undefined
        ? { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: '' }
        : { type: 'ResolvedRefs', status: 'False', reason: first.code, message: `${first.at}: ${first.message}` },
      { type: 'Programmed', status: 'Unknown', reason: 'Pending', message: '' },
      { type: 'Ready', status: 'Unknown', reason: 'Pending', message: '' },
    ],
    summary,
  }
}

/** Of both objects. */
export function heard(
  programming: ProgrammingFacts | undefined,
  votes: Readonly<Record<string, EndpointVotes>> = {},
  namespace = 'team-a',
): Heard {
  const names = [`LlamaModel ${namespace}/m`, `RoutingPolicy ${namespace}/p`]
  return {
    programming: new Map(programming === undefined ? [] : names.map((name) => [name, programming])),
    votes: new Map(Object.entries(votes)),
  }
}

export const allHave = (gateways: number): ProgrammingFacts => ({ gateways, acked: gateways, rejected: [] })
