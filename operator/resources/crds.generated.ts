// Generated from crds/*.yaml by scripts/generate.ts. Do not edit.
// Objects as they are after defaulting: a field with a default is always there.

export type CustomResource = LlamaModel | RoutingPolicy
/**
 * One capability.
 */
export type Capability =
  | 'chat'
  | 'completions'
  | 'responses'
  | 'embeddings'
  | 'rerank'
  | 'vision'
  | 'audio'
  | 'tools'
  | 'jsonSchema'
  | 'reasoning'
  | 'prefixContinuation'
/**
 * What runs there. Auto finds out by asking; Generic is any API in OpenAI's or Anthropic's dialect.
 */
export type Engine =
  | 'Auto'
  | 'vLLM'
  | 'SGLang'
  | 'TGI'
  | 'LlamaCpp'
  | 'TensorRTLLM'
  | 'Triton'
  | 'LMDeploy'
  | 'Ollama'
  | 'LocalAI'
  | 'OpenAI'
  | 'Anthropic'
  | 'Generic'
/**
 * What the backend speaks. Absent, Anthropic with engine Anthropic, else OpenAI.
 */
export type Dialect = 'OpenAI' | 'Anthropic'
/**
 * How the rule chooses. Absent, the policy's.
 */
export type Strategy = 'Adaptive' | 'WeightedRandom' | 'WeightedRoundRobin' | 'Priority' | 'LeastLoad' | 'LowestLatency' | 'LowestCost'
/**
 * What happens when a stream breaks after its first content. Error ends it with an error, Continue lets another attempt go on where it stopped. Absent, Error.
 */
export type Interrupt = 'Error' | 'Continue'

/**
 * A served model, with its name, where it runs, its limits and how its health is judged.
 */
export interface LlamaModel {
  apiVersion: 'llamaswap.dev/v1alpha1'
  kind: 'LlamaModel'
  metadata: ObjectMeta
  spec: LlamaModelSpec
  status?: LlamaModelStatus
}
/**
 * Name, namespace, labels and annotations, and what the cluster adds.
 */
export interface ObjectMeta {
  name: string
  namespace?: string
  labels?: {
    [k: string]: string
  }
  annotations?: {
    [k: string]: string
  }
  uid?: string
  generation?: number
  resourceVersion?: string
  creationTimestamp?: string
}
/**
 * What is wanted.
 */
export interface LlamaModelSpec {
  /**
   * The name clients send. Absent, metadata.name.
   */
  modelName?: string
  /**
   * Other names for this model.
   *
   * @maxItems 16
   */
  aliases?: ModelAlias[]
  /**
   * Public models can be named by clients and are listed. Internal ones are reachable only as a policy's target.
   */
  visibility: 'Public' | 'Internal'
  /**
   * What the engine calls the model. Absent, the served name.
   */
  upstreamModel?: string
  /**
   * What the model can do. Absent, chat, completions and tools, and what the engine says about itself.
   *
   * @minItems 1
   * @maxItems 16
   */
  capabilities?: Capability[]
  /**
   * Context window in tokens. Absent, the engine's own.
   */
  contextWindow?: number
  maxOutput?: MaxOutput
  /**
   * Share of requests where a policy names this model without a weight of its own. 0 takes none.
   */
  weight: number
  /**
   * Models with the lowest number are used first by policies with strategy Priority.
   */
  priority: number
  pricing?: Pricing
  access: Access
  limits?: ModelLimits
  /**
   * How an endpoint of a backend is chosen. Absent, PowerOfTwo.
   */
  loadBalancing?: {
    /**
     * PowerOfTwo takes the less loaded of two at random, RoundRobin one after the other, LeastLoad the least loaded of all, Random any. PrefixHash keeps prompts that begin alike at one endpoint, Session requests of one session, unless it has too much to do.
     */
    strategy?: 'PowerOfTwo' | 'RoundRobin' | 'LeastLoad' | 'PrefixHash' | 'Session' | 'Random'
  }
  health?: Health
  signals?: Signals
  timeouts?: Timeouts
  retry?: Retry
  passthrough?: Passthrough
  /**
   * Routes beyond the known ones that the model offers, with the backend's credential if it has one.
   *
   * @maxItems 16
   */
  extraRoutes?: ExtraRoute[]
  /**
   * Where the model runs.
   *
   * @minItems 1
   * @maxItems 16
   */
  backends: Backend[]
}
/**
 * One other name.
 */
export interface ModelAlias {
  /**
   * The name clients send.
   */
  name: string
  /**
   * What the engine calls it under this name, such as the name of a LoRA adapter. Absent, the spec's.
   */
  upstreamModel?: string
}
/**
 * Limit on the length of an answer. Absent, none but the engine's.
 */
export interface MaxOutput {
  /**
   * Most tokens an answer may have.
   */
  tokens: number
  /**
   * What happens to a request that asks for more. Clamp lowers it to the limit, Refuse answers with an error. Absent means Clamp.
   */
  onExceed?: 'Clamp' | 'Refuse'
}
/**
 * Prices in USD. What is absent is unknown, never free.
 */
export interface Pricing {
  /**
   * Price of a million tokens of requests, such as "0.60".
   */
  inputPerMillionTokens?: string
  /**
   * Price of a million tokens of requests that the engine had in its cache. Absent, as other input.
   */
  cachedInputPerMillionTokens?: string
  /**
   * Price of a million tokens of answers.
   */
  outputPerMillionTokens?: string
  /**
   * Price of an hour of one endpoint, such as "2.10". Where the prices of tokens are absent they follow from it and from what the endpoint is seen to serve.
   */
  perHour?: string
}
/**
 * Which client namespaces may use this model.
 */
export interface Access {
  /**
   * Same allows the object's own namespace, All every namespace, Selector the namespaces whose labels match.
   */
  from: 'Same' | 'All' | 'Selector'
  /**
   * Which namespaces, when from is Selector.
   */
  selector?: {
    /**
     * Labels that a namespace must have, all of them.
     */
    matchLabels: {
      /**
       * Value of the label.
       */
      [k: string]: string
    }
  }
}
/**
 * Limits on the use of the model, over all proxies together. Absent, none.
 */
export interface ModelLimits {
  /**
   * Requests in any minute.
   */
  requestsPerMinute?: number
  /**
   * Tokens of requests and answers in any minute.
   */
  tokensPerMinute?: number
  /**
   * Tokens of requests and answers in a day, from midnight to midnight UTC.
   */
  tokensPerDay?: number
  /**
   * Requests that one proxy has at one endpoint at the same time. Others wait or go elsewhere.
   */
  maxConcurrentPerEndpoint?: number
  queue?: QueueLimits
}
/**
 * Requests that wait because every endpoint is at its limit. Each proxy has a queue of its own. What is absent comes from the proxy's defaults.
 */
export interface QueueLimits {
  /**
   * Most requests that wait. With 0 none does.
   */
  maxRequests?: number
  /**
   * Most bytes of waiting requests together, as a number or with a unit, such as 256Mi.
   */
  maxBytes?: number | string
  /**
   * Longest a request waits, such as 60s.
   */
  maxWait?: string
}
/**
 * How the health of the endpoints is judged. What is absent comes from the engine's profile.
 */
export interface Health {
  /**
   * Path of the health request, from the root of the endpoint's address. Absent, the engine's own.
   */
  path?: string
  /**
   * Time from one health request to the next, such as 5s. Absent, the engine's profile.
   */
  interval?: string
  /**
   * How long one health request may take, such as 2s. Absent, the engine's profile.
   */
  timeout?: string
  /**
   * Good answers in a row that make an endpoint healthy again.
   */
  healthyAfter?: number
  /**
   * Failed health requests in a row that make an endpoint unhealthy.
   */
  unhealthyAfter?: number
  outlier?: Outlier
}
/**
 * When failures of requests take an endpoint out. What is absent comes from the proxy's defaults.
 */
export interface Outlier {
  /**
   * Failures of requests in a row that take an endpoint out for a while.
   */
  consecutiveFailures?: number
  /**
   * Most endpoints of the model, as a percentage, that failures of requests may take out at the same time.
   */
  maxEjectedPercent?: number
}
/**
 * Reading of the endpoints' load from their metrics. What is absent comes from the engine's profile.
 */
export interface Signals {
  /**
   * Path of the engine's metrics, from the root of the endpoint's address. Absent, the engine's own.
   */
  path?: string
  /**
   * Time from one reading to the next, such as 1s. Absent, the engine's profile.
   */
  interval?: string
  /**
   * Age at which a reading counts as unknown, such as 5s. Absent, the engine's profile.
   */
  staleAfter?: string
}
/**
 * Deadlines of a request. What is absent adapts to what the endpoints usually need.
 */
export interface Timeouts {
  /**
   * How long opening a connection may take, such as 1s.
   */
  connect?: string
  /**
   * How long the first content of an answer may take, such as 30s; an answer that is not streamed may take at least as long as a whole. Absent, it adapts to what the endpoint usually needs.
   */
  firstToken?: string
  /**
   * How long a stream may be silent before it counts as failed, such as 20s.
   */
  streamIdle?: string
  /**
   * How long a request may take in all, every attempt and fallback together, such as 10m. Absent, no limit.
   */
  total?: string
}
/**
 * How often a request that failed before its first content is tried again.
 */
export interface Retry {
  /**
   * Further attempts at the endpoint that failed, before another one is tried.
   */
  sameEndpoint?: number
  /**
   * Most attempts of one request, the first and those at fallback targets included.
   */
  totalAttempts?: number
  /**
   * Most retries, as a percentage of the requests of the same time.
   */
  budgetPercent?: number
}
/**
 * Raw access to the engine under /upstream/{model}/.
 */
export interface Passthrough {
  /**
   * Whether raw access is allowed to clients that may use the model.
   */
  enabled: boolean
  /**
   * Whether the backend's credential is sent with raw requests too.
   */
  forwardAuth: boolean
}
/**
 * One route.
 */
export interface ExtraRoute {
  /**
   * Method of the request.
   */
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /**
   * Path of the request, such as /v1/score.
   */
  path: string
}
/**
 * One source of the model, an own engine or a commercial API. Exactly one of service, pods and url says where.
 */
export interface Backend {
  /**
   * Name of the backend, unique in the list. It appears in status, metrics and the x-llama-swap-endpoint header.
   */
  name: string
  /**
   * Share of the model's requests, relative to the other backends of the same priority. 0 takes none.
   */
  weight: number
  /**
   * Backends with the lowest number are used first; others when none of those can take the request.
   */
  priority: number
  service?: BackendService
  pods?: BackendPods
  /**
   * Address of the engine or API, such as https://api.example.com/v1. Without a path, /v1 is used; a path replaces it.
   */
  url?: string
  engine: Engine
  dialect?: Dialect
  auth?: BackendAuth
  /**
   * Headers added to each request to the backend. Never secrets; those belong in auth.
   *
   * @maxItems 16
   */
  headers?: BackendHeader[]
  quota?: Quota
  /**
   * What this backend's engine calls the model, where it differs from the spec's.
   */
  upstreamModel?: string
  /**
   * Context window of this backend in tokens, where it differs from the spec's.
   */
  contextWindow?: number
  /**
   * What this backend can do, where it differs from the spec's.
   *
   * @minItems 1
   * @maxItems 16
   */
  capabilities?: Capability[]
  maxOutput?: MaxOutput
  pricing?: Pricing
  health?: Health
  signals?: Signals
  timeouts?: Timeouts
}
/**
 * A Service of this namespace that selects the engines.
 */
export interface BackendService {
  /**
   * Name of the Service.
   */
  name: string
  port: BackendPort
  /**
   * Whether the engine speaks HTTP or HTTPS.
   */
  scheme: 'HTTP' | 'HTTPS'
  /**
   * Path below which the engine has its API.
   */
  basePath: string
  /**
   * Endpoints sends to each ready pod and balances between them. ClusterIP sends to the Service's own address and leaves that to the cluster.
   */
  resolution: 'Endpoints' | 'ClusterIP'
}
/**
 * Which port of the Service.
 */
export interface BackendPort {
  /**
   * Its number.
   */
  number?: number
  /**
   * Its name.
   */
  name?: string
}
/**
 * Pods of this namespace that run the engine, without a Service.
 */
export interface BackendPods {
  /**
   * Which pods.
   */
  selector: {
    /**
     * Labels that a pod must have, all of them.
     */
    matchLabels: {
      /**
       * Value of the label.
       */
      [k: string]: string
    }
  }
  port: BackendPort
  /**
   * Whether the engine speaks HTTP or HTTPS.
   */
  scheme: 'HTTP' | 'HTTPS'
  /**
   * Path below which the engine has its API.
   */
  basePath: string
}
/**
 * Credential for the backend. Absent, none is sent. A backend with a credential is never probed.
 */
export interface BackendAuth {
  /**
   * How the credential is sent. Header puts it into a request header.
   */
  type: 'Header'
  /**
   * Which header carries it. Absent, the engine's usual one.
   */
  header?: {
    /**
     * Name of the header. Absent, X-Api-Key with engine Anthropic, else Authorization.
     */
    name?: string
    /**
     * Word before the key, such as Bearer. An empty string sends the bare key. Absent, Bearer for Authorization and none for other headers.
     */
    scheme?: string
  }
  /**
   * Keys of Secrets in the object's namespace. The first that exists is used, the next after the engine has refused it.
   *
   * @minItems 1
   * @maxItems 8
   */
  secretRefs: SecretKeyRef[]
}
/**
 * One key of one Secret.
 */
export interface SecretKeyRef {
  /**
   * Name of the Secret.
   */
  name: string
  /**
   * Key in the Secret.
   */
  key: string
}
/**
 * One header.
 */
export interface BackendHeader {
  /**
   * Name of the header.
   */
  name: string
  /**
   * Value of the header; may be empty.
   */
  value: string
}
/**
 * What the backend's provider grants. Traffic moves to others before it is used up. What the provider's answers say wins.
 */
export interface Quota {
  /**
   * Requests in any minute.
   */
  requestsPerMinute?: number
  /**
   * Tokens of requests and answers in any minute.
   */
  tokensPerMinute?: number
  /**
   * Use, in percent, from which on traffic moves to other backends in proportion.
   */
  shiftAtPercent: number
}
/**
 * What was found; written by the operator.
 */
export interface LlamaModelStatus {
  /**
   * Generation of the spec that this status speaks of.
   */
  observedGeneration?: number
  /**
   * Names under which clients reach the model, the model name first.
   *
   * @maxItems 17
   *
   * Items: One name.
   */
  servedNames?: string[]
  /**
   * What holds for the object now: Accepted, ResolvedRefs, Programmed, Ready, and Degraded while it is.
   *
   * @maxItems 16
   */
  conditions?: Condition[]
  /**
   * Endpoints of all backends.
   */
  endpoints?: {
    /**
     * All of them.
     */
    total?: number
    /**
     * Those that can take requests.
     */
    ready?: number
  }
  programmed?: Programmed
  /**
   * State of each backend.
   *
   * @maxItems 16
   */
  backends?: BackendStatus[]
  /**
   * The numbers above as text, for the columns of kubectl get.
   */
  summary?: {
    /**
     * Ready and all endpoints, such as 2/3.
     */
    endpoints?: string
    /**
     * Proxies that hold the object and all proxies, such as 3/3.
     */
    programmed?: string
    /**
     * Engines of the backends.
     */
    engines?: string
    /**
     * Names of the backends.
     */
    backends?: string
  }
}
/**
 * One condition.
 */
export interface Condition {
  /**
   * Name of the condition.
   */
  type: string
  /**
   * Whether it holds.
   */
  status: 'True' | 'False' | 'Unknown'
  /**
   * Generation of the spec that the condition speaks of.
   */
  observedGeneration?: number
  /**
   * When status last changed.
   */
  lastTransitionTime: string
  /**
   * Why, in one word.
   */
  reason: string
  /**
   * Why, in a sentence.
   */
  message: string
}
/**
 * Which proxies hold this object.
 */
export interface Programmed {
  /**
   * Generation of the spec that was pushed last.
   */
  generation?: number
  /**
   * Proxies that should hold it.
   */
  proxies?: number
  /**
   * Proxies that have confirmed it.
   */
  acked?: number
  /**
   * Proxies that have refused it.
   */
  rejected?: number
}
/**
 * State of one backend.
 */
export interface BackendStatus {
  /**
   * Name of the backend.
   */
  name: string
  /**
   * What runs there, as set or found.
   */
  engine?: string
  /**
   * All endpoints of the backend.
   */
  total?: number
  /**
   * Those that can take requests.
   */
  ready?: number
  /**
   * Why it takes no requests, in one word; absent while it does.
   */
  reason?: string
}
/**
 * Virtual model names and the rules that pick a LlamaModel for them.
 */
export interface RoutingPolicy {
  apiVersion: 'llamaswap.dev/v1alpha1'
  kind: 'RoutingPolicy'
  metadata: ObjectMeta
  spec: RoutingPolicySpec
  status?: RoutingPolicyStatus
}
/**
 * What is wanted.
 */
export interface RoutingPolicySpec {
  /**
   * Names that clients send and this policy answers for.
   *
   * @minItems 1
   * @maxItems 16
   *
   * Items: One name, such as auto.
   */
  virtualModels: string[]
  access: Access
  /**
   * Choices for some requests; the first that holds is taken. The policy's own targets serve the others.
   *
   * @minItems 1
   * @maxItems 32
   */
  rules?: PolicyRule[]
  strategy?: Strategy
  /**
   * Models that the policy chooses from.
   *
   * @minItems 1
   * @maxItems 16
   */
  targets?: Target[]
  /**
   * Keeps requests that belong together at one target while it can answer.
   */
  sticky?: {
    /**
     * Session: the header x-session-id, else prompt_cache_key of the request, else how its conversation began.
     */
    key: 'Session'
  }
  /**
   * Targets that would cost more are left out, fallbacks too. USD.
   */
  costCeiling?: {
    /**
     * Most that one request may cost with all its attempts, by estimate of its tokens, such as "0.02".
     */
    perRequest?: string
    /**
     * Highest price of a million tokens of answers, such as "5".
     */
    perMillionOutputTokens?: string
  }
  /**
   * Whether targets whose price nobody knows take part where a price is asked for, by costCeiling or LowestCost.
   */
  unknownPrice: 'Allow' | 'Exclude'
  fallback?: Fallback
  /**
   * What holds for clients of this policy. All entries that match a client apply; the strictest limit and the first priority hold.
   *
   * @maxItems 32
   */
  clients?: ClientTerms[]
}
/**
 * One rule.
 */
export interface PolicyRule {
  /**
   * Name of the rule, unique in the policy. It appears in status, metrics and the x-llama-swap-rule header.
   */
  name: string
  /**
   * The rule holds when any of these does. None at all means always.
   *
   * @maxItems 8
   */
  matches?: RuleMatch[]
  /**
   * Models that the rule chooses from. Absent, the policy's.
   *
   * @minItems 1
   * @maxItems 16
   */
  targets?: Target[]
  strategy?: Strategy
  /**
   * Keeps requests that belong together at one target while it can answer. Absent, the policy's.
   */
  sticky?: {
    /**
     * Session: the header x-session-id, else prompt_cache_key of the request, else how its conversation began.
     */
    key: 'Session'
  }
  limits?: ClientLimits
  fallback?: Fallback
}
/**
 * Conditions on the request, which must all hold.
 */
export interface RuleMatch {
  /**
   * The request needs all of these.
   *
   * @minItems 1
   * @maxItems 16
   */
  capabilities?: Capability[]
  /**
   * Estimated length of the prompt.
   */
  promptTokens?: {
    /**
     * Fewest tokens, inclusive.
     */
    min?: number
    /**
     * Most tokens, inclusive.
     */
    max?: number
  }
  /**
   * The most tokens that the request asks for. One that does not say is in no range.
   */
  maxOutputTokens?: {
    /**
     * Fewest tokens, inclusive.
     */
    min?: number
    /**
     * Most tokens, inclusive.
     */
    max?: number
  }
  /**
   * Headers that the request must have, all of them.
   *
   * @minItems 1
   * @maxItems 8
   */
  headers?: HeaderMatch[]
  /**
   * The request has one of these paths.
   *
   * @minItems 1
   * @maxItems 16
   *
   * Items: One path, such as /v1/chat/completions.
   */
  paths?: string[]
  clients?: ClientMatch
  /**
   * When the rule holds.
   */
  schedule?: {
    /**
     * Whose clock, as a name of the IANA time zone database, such as Europe/Berlin or UTC.
     */
    timeZone: string
    /**
     * Times of day; any of them.
     *
     * @minItems 1
     * @maxItems 16
     *
     * Items: One time of day.
     */
    windows: {
      /**
       * Days on which it begins. Absent, every day.
       *
       * @minItems 1
       * @maxItems 7
       *
       * Items: One day of the week.
       */
      days?: ('Mon' | 'Tue' | 'Wed' | 'Thu' | 'Fri' | 'Sat' | 'Sun')[]
      /**
       * First minute, such as "22:00".
       */
      from: string
      /**
       * Minute in which it has ended, such as "06:00"; not later than from means on the next day. "24:00" is the end of the day.
       */
      to: string
    }[]
  }
  /**
   * An expression in CEL over request, client, headers and facts that must be true, such as request.tools.size() > 2.
   */
  cel?: string
}
/**
 * One header.
 */
export interface HeaderMatch {
  /**
   * Exact compares the whole value, Prefix its beginning; Present only asks for the header.
   */
  type: 'Exact' | 'Prefix' | 'Present'
  /**
   * Name of the header, in any case.
   */
  name: string
  /**
   * Value or beginning of it; absent with type Present.
   */
  value?: string
}
/**
 * Who asks.
 */
export interface ClientMatch {
  /**
   * The client is one of these.
   *
   * @minItems 1
   * @maxItems 8
   *
   * Items: One client, as namespace/name of its key's Secret; without a namespace, of the policy's own.
   */
  names?: string[]
  /**
   * The client's namespace is one of these.
   *
   * @minItems 1
   * @maxItems 8
   *
   * Items: One namespace.
   */
  namespaces?: string[]
  /**
   * The client is the ServiceAccount of one of these.
   *
   * @minItems 1
   * @maxItems 8
   *
   * Items: One ServiceAccount, as namespace/name; without a namespace, of the policy's own.
   */
  serviceAccounts?: string[]
}
/**
 * One LlamaModel.
 */
export interface Target {
  /**
   * Name of a LlamaModel object of the policy's namespace, or namespace/name of another that allows it.
   */
  model: string
  /**
   * Share of requests, relative to the other targets. Absent, the model's own weight. 0 takes none.
   */
  weight?: number
}
/**
 * Limits on each client for the requests of this rule, over all proxies together; replace those of the policy's clients as a whole. Absent, theirs.
 */
export interface ClientLimits {
  /**
   * Requests in any minute.
   */
  requestsPerMinute?: number
  /**
   * Tokens of requests and answers in any minute.
   */
  tokensPerMinute?: number
  /**
   * Tokens of requests and answers in a day, from midnight to midnight UTC.
   */
  tokensPerDay?: number
  /**
   * USD in a day, from midnight to midnight UTC, by the pricing of the backends that answered, such as "20".
   */
  costPerDay?: string
  /**
   * Requests at the same time.
   */
  maxConcurrent?: number
}
/**
 * What happens when a target cannot answer; replaces the policy's as a whole. Absent, the policy's.
 */
export interface Fallback {
  /**
   * Whether another target is tried when one cannot answer.
   */
  enabled: boolean
  /**
   * What a fallback answers to. Absent, all but ContentFilter.
   *
   * @minItems 1
   * @maxItems 16
   *
   * Items: One kind of failure.
   */
  when?: ('Unavailable' | 'Overloaded' | 'RateLimited' | 'Timeout' | 'ServerError' | 'ContextLength' | 'ContentFilter')[]
  interrupt?: Interrupt
  /**
   * What is tried in this order after the other targets.
   *
   * @minItems 1
   * @maxItems 16
   */
  targets?: FallbackTarget[]
}
/**
 * One LlamaModel, or another policy.
 */
export interface FallbackTarget {
  /**
   * Name of a LlamaModel object of the policy's namespace, or namespace/name of another that allows it.
   */
  model?: string
  /**
   * Name of a RoutingPolicy object of the policy's namespace, or namespace/name of another that allows it. What its rules say of the request goes on from there.
   */
  policy?: string
}
/**
 * Limits and priority of some clients.
 */
export interface ClientTerms {
  match?: ClientMatch
  limits?: ClientLimits
  /**
   * Who is served first when requests wait. Absent, Normal.
   */
  requestPriority?: 'High' | 'Normal' | 'Low'
}
/**
 * What was found; written by the operator.
 */
export interface RoutingPolicyStatus {
  /**
   * Generation of the spec that this status speaks of.
   */
  observedGeneration?: number
  /**
   * What holds for the object now: Accepted, ResolvedRefs, Programmed, Ready, and Degraded while it is.
   *
   * @maxItems 16
   */
  conditions?: Condition[]
  programmed?: Programmed
  /**
   * State of each rule.
   *
   * @maxItems 33
   */
  rules?: RuleStatus[]
  /**
   * What the policy does as text, for the columns of kubectl get.
   */
  summary?: {
    /**
     * Names that the policy answers for.
     */
    virtualModels?: string
    /**
     * Names of the targets.
     */
    targets?: string
    /**
     * Proxies that hold the object and all proxies, such as 3/3.
     */
    programmed?: string
  }
}
/**
 * State of one rule.
 */
export interface RuleStatus {
  /**
   * Name of the rule; default for the policy's own targets.
   */
  name: string
  /**
   * Whether one of its targets can take requests.
   */
  ready?: boolean
  /**
   * Why none can, in one word; absent while one can.
   */
  reason?: string
}
