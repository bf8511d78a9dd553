/**
 * The routing table, version 1: the one contract between operator and proxy.
 *
 * The operator's translate step produces it; a proxy parses it strictly, compiles it once (`compile.ts`) and swaps it in whole.
 * It knows no Kubernetes: of the cluster only namespace and name remain, joined as `ref` ("namespace/name").
 * Units: `…Ms` milliseconds, `…Tokens` tokens, `…Percent` 0..100. Absent means "the proxy's default", never "zero".
 */

export const TABLE_VERSION = 1

/**
 * Of the fields that came after the first tables, those that a reader that does not know them may skip: nobody gets a right, passes a limit or
 * sees a credential by that. Any other that is not known refuses its entry. Names that stand nowhere else, as readers skip them by name.
 */
export const IGNORABLE_FIELDS: readonly string[] = [
  'pricing',
  'outlier',
  'interrupt',
  'extraRoutes',
  'perHour',
  'tiers',
  'priceSource',
  'cacheWritePerMillionTokens',
  'sticky',
]

export const CAPABILITIES = [
  'chat',
  'completions',
  'responses',
  'embeddings',
  'rerank',
  'vision',
  'audio',
  'tools',
  'jsonSchema',
  'reasoning',
  'prefixContinuation',
] as const
export type Capability = (typeof CAPABILITIES)[number]

export const STRATEGIES = [
  'Adaptive',
  'WeightedRandom',
  'WeightedRoundRobin',
  'Priority',
  'LeastLoad',
  'LowestLatency',
  'LowestCost',
] as const
export type Strategy = (typeof STRATEGIES)[number]

export const ENDPOINT_STRATEGIES = ['PowerOfTwo', 'RoundRobin', 'LeastLoad', 'PrefixHash', 'Session', 'Random'] as const
export type EndpointStrategy = (typeof ENDPOINT_STRATEGIES)[number]

export const ENGINES = [
  'Auto',
  'vLLM',
  'SGLang',
  'TGI',
  'LlamaCpp',
  'TensorRTLLM',
  'Triton',
  'LMDeploy',
  'Ollama',
  'LocalAI',
  'OpenAI',
  'Anthropic',
  'Generic',
] as const
export type Engine = (typeof ENGINES)[number]

export const FALLBACK_CLASSES = [
  'Unavailable',
  'Overloaded',
  'RateLimited',
  'Timeout',
  'ServerError',
  'ContextLength',
  'ContentFilter',
] as const
export type FallbackClass = (typeof FALLBACK_CLASSES)[number]

/** What a backend speaks. */
export const BACKEND_DIALECTS = ['OpenAI', 'Anthropic'] as const
export type BackendDialect = (typeof BACKEND_DIALECTS)[number]

/** What becomes of a stream that breaks after its first content: an in-band error, or another attempt that goes on where it stopped. */
export const INTERRUPTS = ['Error', 'Continue'] as const
export type Interrupt = (typeof INTERRUPTS)[number]

export const REQUEST_PRIORITIES = ['High', 'Normal', 'Low'] as const
export type RequestPriority = (typeof REQUEST_PRIORITIES)[number]

/** "namespace/name" of the resource an entry came from; at most 127 characters. */
export type Ref = string

/** Which client namespaces may use an entry. `Same` = only the entry's own namespace. */
export type Access = { from: 'Same' } | { from: 'All' } | { from: 'Namespaces'; namespaces: readonly string[] }

export interface Alias {
  name: string
  /** What the engine calls it, where that differs from the model's own `upstreamModel` (a LoRA adapter). */
  upstreamModel?: string
}

export interface MaxOutput {
  tokens: number
  /** Absent = Clamp. */
  onExceed?: 'Clamp' | 'Refuse'
}

export interface Health {
  /** Path of the health request, from the endpoint's origin; absent = the engine's own. */
  path?: string
  intervalMs?: number
  timeoutMs?: number
  healthyAfter?: number
  unhealthyAfter?: number
  outlier?: Outlier
}

/** When failures of requests open an endpoint's circuit. */
export interface Outlier {
  consecutiveFailures?: number
  /** Most endpoints of one model, as a share, that failures of requests may take out at the same time. */
  maxEjectedPercent?: number
}

export interface Signals {
  path?: string
  intervalMs?: number
  /** A scrape older than this is "unknown", never "saturated". */
  staleAfterMs?: number
}

export interface Timeouts {
  connectMs?: number
  firstTokenMs?: number
  streamIdleMs?: number
  totalMs?: number
}

/** USD. Absent = unknown, never free. */
export interface Prices {
  inputPerMillionTokens?: number
  /** Absent = as other input. */
  cachedInputPerMillionTokens?: number
  /** Of what the engine keeps of the input for later requests. Absent = as other input. */
  cacheWritePerMillionTokens?: number
  outputPerMillionTokens?: number
}

/** The resource's own prices, else those of the catalogue. */
export interface Pricing extends Prices {
  /** Of one endpoint, whatever it serves: a price per token follows from its throughput. Only where the prices above are absent. */
  perHour?: number
  /** Other prices for requests whose input is larger, smallest bound first; they hold for the whole request. */
  tiers?: readonly PriceTier[]
  /** Absent = declared by the resource. */
  priceSource?: 'Catalogue'
}

export interface PriceTier extends Prices {
  aboveInputTokens: number
}

/** Limits of ours on one model, over all proxies together. Minutes slide; days are UTC. */
export interface ModelLimits {
  requestsPerMinute?: number
  tokensPerMinute?: number
  tokensPerDay?: number
  /** Each proxy counts its own. */
  maxConcurrentPerEndpoint?: number
  /** Each proxy has its own. */
  queue?: QueueLimits
}

export interface QueueLimits {
  maxRequests?: number
  maxBytes?: number
  maxWaitMs?: number
}

/** The upstream's limits on one backend, declared; what its answers say wins. */
export interface Quota {
  requestsPerMinute?: number
  tokensPerMinute?: number
  /** Use from which on traffic moves away in proportion. */
  shiftAtPercent: number
}

/** Limits of ours on each client that matches, over all proxies together. */
export interface ClientLimits {
  requestsPerMinute?: number
  tokensPerMinute?: number
  tokensPerDay?: number
  /** USD, by the pricing of the backends that served. */
  costPerDay?: number
  maxConcurrent?: number
}

export interface ClientMatch {
  names?: readonly string[]
  namespaces?: readonly string[]
  /** "namespace/name" each. */
  serviceAccounts?: readonly string[]
}

/** What holds for clients of one policy. All that match apply: the strictest limit wins, the first priority. */
export interface ClientTerms {
  match: ClientMatch
  limits?: ClientLimits
  requestPriority?: RequestPriority
}

/** A route beyond the known ones that a model offers. */
export interface ExtraRoute {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  path: string
}

export interface Retry {
  sameEndpoint?: number
  totalAttempts?: number
  budgetPercent?: number
}

/** One source of a model. Overrides are already merged field by field: what stands here is what holds. */
export interface Backend {
  name: string
  weight: number
  /** Lower first. */
  priority: number
  engine: Engine
  /** Absent = OpenAI. */
  dialect?: BackendDialect
  /** What the engine calls the model: the value written into the request's `model`. */
  upstreamModel: string
  capabilities?: readonly Capability[]
  contextWindowTokens?: number
  maxOutput?: MaxOutput
  health: Health
  signals: Signals
  timeouts: Timeouts
  pricing?: Pricing
  quota?: Quota
  /** How the credential is sent. Absent = no credential. `scheme: ""` sends the bare key. */
  auth?: { header: string; scheme: string; credentials: readonly string[] }
  headers: readonly { name: string; value: string }[]
  /** False: never send a request of our own there (a commercial API billed per call): watched passively. */
  probed: boolean
  /** True for standalone's own simulated engines: answers carry `x-llama-swap-simulated: 1`. */
  simulated: boolean
}

/** One LlamaModel. */
export interface Model {
  ref: Ref
  generation: number
  /** Age decides who comes first where two share a name with a client: older first, then ref. Absent = after all that have one. */
  createdAtMs?: number
  /** The served name first, then aliases: only names this object won. Empty = reachable as a target only. */
  names: readonly string[]
  aliases: readonly Alias[]
  visibility: 'Public' | 'Internal'
  access: Access
  weight: number
  priority: number
  loadBalancing: EndpointStrategy
  limits?: ModelLimits
  retry: Retry
  passthrough: { enabled: boolean; forwardAuth: boolean }
  extraRoutes?: readonly ExtraRoute[]
  backends: readonly Backend[]
}

export interface Target {
  model: Ref
  /** Already resolved: the target's own, else its model's. */
  weight: number
}

/** Another policy: its rules are asked, and what they say goes on from there. */
export interface PolicyTarget {
  policy: Ref
}

export type FallbackTarget = Target | PolicyTarget

/** The models among them, in order. */
export const modelTargets = (targets: readonly FallbackTarget[]): readonly Target[] => targets.filter((target) => 'model' in target)

export interface Fallback {
  enabled: boolean
  when: readonly FallbackClass[]
  /** Tried in order after the rule's other targets. */
  targets: readonly FallbackTarget[]
  /** Absent = Error. */
  interrupt?: Interrupt
}

export type HeaderMatch =
  | { type: 'Exact'; name: string; value: string }
  | { type: 'Prefix'; name: string; value: string }
  | { type: 'Present'; name: string }

export const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const
export type Weekday = (typeof WEEKDAYS)[number]

/** Times of day in a time zone. */
export interface Schedule {
  /** A name of the IANA time zone database. */
  timeZone: string
  /** Any of them. */
  windows: readonly ScheduleWindow[]
}

/** Wall-clock minutes of a day, 0 to 1440. `toMinute` is exclusive; not after `fromMinute` = on the next day, which counts as its first day's. */
export interface ScheduleWindow {
  /** Absent = every day. */
  days?: readonly Weekday[]
  fromMinute: number
  toMinute: number
}

/** Inclusive bounds. */
export interface Range {
  min?: number
  max?: number
}

/** Inside one match all of it must hold. Header names are lower case. */
export interface Match {
  capabilities?: readonly Capability[]
  promptTokens?: Range
  /** What the request asks for at most; one that does not say matches no bound. */
  maxOutputTokens?: Range
  headers?: readonly HeaderMatch[]
  paths?: readonly string[]
  clients?: ClientMatch
  schedule?: Schedule
  /** A CEL expression over `request`, `client`, `headers` and `facts`. */
  cel?: string
}

/** What keeps requests that belong together at one target: `x-session-id`, else `prompt_cache_key`, else how the conversation began. */
export interface Sticky {
  key: 'Session'
}

/** USD. A target that would cost more is left out. */
export interface CostCeiling {
  /** By estimate of the request's tokens. */
  perRequest?: number
  perMillionOutputTokens?: number
}

export interface PolicyRule {
  name: string
  /** Any of them; empty = always. */
  matches: readonly Match[]
  strategy: Strategy
  targets: readonly Target[]
  fallback: Fallback
  sticky?: Sticky
  /** On each client, for the requests of this rule alone: those of the policy's `clients` do not hold for them. Absent = those hold. */
  limits?: ClientLimits
}

/** One RoutingPolicy. The policy's own targets are the last rule, named "default", without matches. */
export interface Policy {
  ref: Ref
  generation: number
  /** Age decides who comes first where two share a name with a client: older first, then ref. Absent = after all that have one. */
  createdAtMs?: number
  /** Virtual models this object won. */
  names: readonly string[]
  access: Access
  rules: readonly PolicyRule[]
  clients?: readonly ClientTerms[]
  costCeiling?: CostCeiling
  /** Absent = Allow: wherever a price is asked for, a target without one takes part. */
  unknownPrice?: 'Allow' | 'Exclude'
}

/** One address that takes requests. Travels apart from routes, as it changes faster. */
export interface Endpoint {
  /** Opaque, stable for backend and address: safe to show to clients. */
  id: string
  /** Scheme, host and port: "http://10.0.0.7:8000". */
  origin: string
  /** Path prefix without a trailing slash, such as "/v1". */
  basePath: string
  /** Addresses that a host name in `origin` may resolve to although they are private (a Service's own). Absent = none. */
  addresses?: readonly string[]
}

export interface EndpointSet {
  model: Ref
  backend: string
  endpoints: readonly Endpoint[]
  /** The Service's ClusterIP: used only while every other endpoint of the backend fails, for the hour when pods move and nobody tells. */
  lastResort?: Endpoint
}

/** A backend credential. `id` is what backends name; the value never leaves the proxy but to its backend. */
export interface Credential {
  id: string
  value: string
}

/** A client key by digest. */
export interface ClientKey {
  /** "namespace/secretName": the client's name. */
  client: string
  namespace: string
  /** Lower-case hex SHA-256 of the key. */
  sha256: string
  /** Milliseconds since the epoch; absent = never. */
  expiresAtMs?: number
}

/** Who signs ServiceAccount tokens that clients may send (audience `llama-swap-client`). */
export interface TokenIssuer {
  issuer: string
  /** JSON Web Keys, public parts only. */
  keys: readonly Readonly<Record<string, unknown>>[]
}

/** Which addresses a host name may resolve to at connect. CIDRs; `allow` wins over `deny`. */
export interface AddressRules {
  /** `Deny`: loopback and private addresses only where `Endpoint.addresses` or `allow` names them. */
  private: 'Deny' | 'Permit'
  allow: readonly string[]
  deny: readonly string[]
}

export interface RoutingTable {
  version: typeof TABLE_VERSION
  /** Who made it (raised by each new leader) and its number within that epoch. */
  epoch: number
  seq: number
  models: readonly Model[]
  policies: readonly Policy[]
  endpointSets: readonly EndpointSet[]
  credentials: readonly Credential[]
  clientKeys: readonly ClientKey[]
  /** Absent = no ServiceAccount tokens are accepted. */
  tokenIssuers?: readonly TokenIssuer[]
  /** Absent = the proxy's own flags alone. */
  addresses?: AddressRules
}
