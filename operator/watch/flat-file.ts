import { API_VERSION } from '../resources/schemas.generated.ts'
import { isObjectName } from '../validate/metadata.ts'
import { suggestion } from '../validate/nearest.ts'
import { type Fields, isFields, type Problem } from '../validate/problem.ts'
import { unknownFlatKey } from './flat-file-keys.ts'

/**
 * The flat file, the short form of a configuration:
 *
 *   models: [{ name: llama-70b, endpoint: "http://gpu-server-1:8000", weight: 10, max_tokens: 4096 }]
 *   routing: { strategy: weighted-round-robin, fallback_enabled: true }
 *
 * It becomes a LlamaModel for each model and one RoutingPolicy, `auto`, over all of them. What comes out is judged like any other resource,
 * so there is no second reading of a URL or a weight. Only what the resources could not say back is judged here: names of keys, and duplicates.
 */
export interface FlatObject {
  /** A resource without defaults, not yet checked. */
  readonly document: Fields
  /** "spec.backends[0].url" → "models[0].endpoint" */
  readonly flatPath: (path: string) => string
}

export interface FlatFile {
  readonly objects: readonly FlatObject[]
  /** By the flat file's own paths. */
  readonly problems: readonly Problem[]
}

const POLICY = 'auto'
const MODEL_KEYS = ['name', 'endpoint', 'weight', 'max_tokens']
const ROUTING_KEYS = ['strategy', 'fallback_enabled']
const TOP_KEYS = ['models', 'routing']

const STRATEGIES: Readonly<Record<string, string>> = {
  'weighted-round-robin': 'WeightedRoundRobin',
  'weighted-random': 'WeightedRandom',
  priority: 'Priority',
  'least-load': 'LeastLoad',
  adaptive: 'Adaptive',
  'lowest-latency': 'LowestLatency',
  'lowest-cost': 'LowestCost',
}

export const isFlatFile = (document: Fields): boolean =>
  !('apiVersion' in document) && !('kind' in document) && ('models' in document || 'routing' in document)

export function convertFlatFile(document: Fields): FlatFile {
  const models = readModels(document['models'])
  const routing = readRouting(document['routing'])
  const policy = routing.fields === undefined || models.all.length === 0 ? [] : [policyOf(models.all, routing.fields)]
  const byPriority = routing.fields?.['strategy'] === 'priority'
  return {
    objects: [...models.good.map((model) => modelOf(model, byPriority)), ...policy],
    problems: [...keyProblems(document, '', TOP_KEYS), ...models.problems, ...routing.problems],
  }
}

interface FlatModel {
  readonly index: number
  readonly name: string
  readonly objectName: string
  readonly fields: Fields
}

/** `all` are those with a name: the policy needs them whether they are good or not, or one mistake would change what the others get. */
interface FlatModels {
  readonly all: readonly FlatModel[]
  readonly good: readonly FlatModel[]
  readonly problems: readonly Problem[]
}

function readModels(list: unknown): FlatModels {
  const problems: Problem[] = []
  const all: FlatModel[] = []
  const good: FlatModel[] = []
  if (!Array.isArray(list) || list.length === 0)
    return { all, good, problems: [{ path: 'models', message: 'must be a list of at least one model' }] }
  for (const [index, fields] of list.entries()) {
    const found = modelProblems(fields, index, all)
    problems.push(...found)
    if (!isFields(fields) || typeof fields['name'] !== 'string' || all.some(({ name }) => name === fields['name'])) continue
    const name = fields['name']
    const model = { index, name, fields, objectName: objectNameFor(name, all) }
    all.push(model)
    if (found.length === 0) good.push(model)
  }
  return { all, good, problems }
}

function modelProblems(fields: unknown, index: number, before: readonly FlatModel[]): Problem[] {
  const path = `models[${index}]`
  if (!isFields(fields)) return [{ path, message: 'must be a mapping with name and endpoint' }]
  return [
    ...keyProblems(fields, path, MODEL_KEYS),
    ...nameProblems(fields['name'], `${path}.name`, before),
    ...endpointProblems(fields, path),
  ]
}

function nameProblems(name: unknown, path: string, before: readonly FlatModel[]): Problem[] {
  if (name === undefined || name === null || name === '') return [{ path, message: 'Required value: the name clients send' }]
  if (typeof name !== 'string') return [{ path, message: `must be of type string: "${typeof name}"; put it in quotes` }]
  const first = before.find((model) => model.name === name)
  if (first !== undefined) return [{ path, message: `Duplicate value: "${name}" is the name of models[${first.index}] too` }]
  return name === POLICY ? [{ path, message: `"${POLICY}" is the name under which all models are reached: choose another` }] : []
}

function endpointProblems({ endpoint }: Fields, path: string): Problem[] {
  const missing = endpoint === undefined || endpoint === null || endpoint === ''
  return missing
    ? [{ path: `${path}.endpoint`, message: 'Required value: the address of the engine, such as http://gpu-server-1:8000' }]
    : []
}

function keyProblems(fields: Fields, path: string, known: readonly string[]): Problem[] {
  const unknown = Object.keys(fields).filter((key) => !known.includes(key))
  return unknown.map((key) => ({ path: path === '' ? key : `${path}.${key}`, message: unknownFlatKey(key, known) }))
}

/** A name that no object can have is made into one; `modelName` keeps the original. */
function objectNameFor(name: string, before: readonly FlatModel[]): string {
  const base = isObjectName(name) && name.length <= 63 ? name : toObjectName(name)
  const taken = new Set(before.map(({ objectName }) => objectName))
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? base : `${base.slice(0, 58)}-${number}`
    if (!taken.has(candidate)) return candidate
  }
}

function toObjectName(name: string): string {
  const kept = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, '-')
    .replaceAll(/[-.]*\.[-.]*/g, '.')
    .slice(0, 63)
    .replaceAll(/^[-.]+|[-.]+$/g, '')
  return kept === '' ? 'model' : kept
}

/** With strategy priority the order of the list is the order of use. */
function modelOf({ index, name, objectName, fields }: FlatModel, byPriority: boolean): FlatObject {
  const { endpoint, weight, max_tokens: tokens } = fields
  const spec = {
    modelName: name,
    ...(weight === undefined || weight === null ? {} : { weight }),
    ...(tokens === undefined || tokens === null ? {} : { maxOutput: { tokens, onExceed: 'Clamp' } }),
    ...(byPriority ? { priority: index } : {}),
    backends: [{ name: 'default', url: typeof endpoint === 'string' ? withPath(endpoint) : endpoint }],
  }
  const at = `models[${index}]`
  const places = {
    'spec.modelName': `${at}.name`,
    'spec.weight': `${at}.weight`,
    'spec.maxOutput': `${at}.max_tokens`,
    'spec.backends': `${at}.endpoint`,
  }
  return { document: resource('LlamaModel', objectName, spec), flatPath: placeIn({ metadata: `${at}.name`, ...places }, at) }
}

/** `http://gpu-server-1:8000` → `http://gpu-server-1:8000/v1`; an address with a path stays as it is. */
const withPath = (endpoint: string): string => (/^[a-z]+:\/\/[^/?#]+\/?$/.test(endpoint) ? `${endpoint.replace(/\/$/, '')}/v1` : endpoint)

interface Routing {
  /** Undefined = not to be used. */
  readonly fields?: Fields
  readonly problems: readonly Problem[]
}

function readRouting(routing: unknown): Routing {
  if (routing === undefined || routing === null) return { fields: {}, problems: [] }
  if (!isFields(routing)) return { problems: [{ path: 'routing', message: 'must be a mapping with strategy and fallback_enabled' }] }
  const problems = [...keyProblems(routing, 'routing', ROUTING_KEYS), ...strategyProblems(routing['strategy'])]
  return problems.length > 0 ? { problems } : { fields: routing, problems }
}

function strategyProblems(strategy: unknown): Problem[] {
  if (strategy === undefined || strategy === null || (typeof strategy === 'string' && Object.hasOwn(STRATEGIES, strategy))) return []
  const known = Object.keys(STRATEGIES)
  const meant = typeof strategy === 'string' ? suggestion(strategy, known) : ''
  const supported = known.map((name) => `"${name}"`).join(', ')
  return [{ path: 'routing.strategy', message: `Unsupported value: ${JSON.stringify(strategy)}: supported values: ${supported}${meant}` }]
}

/** Targets carry no weight: each has its model's. */
function policyOf(models: readonly FlatModel[], routing: Fields): FlatObject {
  const { strategy, fallback_enabled: enabled } = routing
  const spec = {
    virtualModels: [POLICY],
    ...(typeof strategy === 'string' ? { strategy: STRATEGIES[strategy] } : {}),
    targets: models.map(({ objectName }) => ({ model: objectName })),
    ...(enabled === undefined || enabled === null ? {} : { fallback: { enabled } }),
  }
  const places = { 'spec.strategy': 'routing.strategy', 'spec.fallback': 'routing.fallback_enabled' }
  return { document: resource('RoutingPolicy', POLICY, spec), flatPath: placeIn(places, 'models') }
}

const resource = (kind: string, name: string, spec: Fields): Fields => ({ apiVersion: API_VERSION, kind, metadata: { name }, spec })

function placeIn(places: Readonly<Record<string, string>>, otherwise: string): (path: string) => string {
  return (path) => Object.entries(places).find(([start]) => path.startsWith(start))?.[1] ?? otherwise
}
