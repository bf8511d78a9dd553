import type { Prompt } from '../estimate/prompt.ts'
import type { Claim, CompiledEndpoint, CompiledModel, CompiledTable } from '../routing-table/compiled.ts'
import type { Capability, ExtraRoute, Fallback, FallbackClass, Ref, Sticky, Strategy } from '../routing-table/v1.ts'
import type { FailureClass } from './classes.ts'
import type { EndpointView } from './endpoint-view.ts'
import type { Limiting, LimitsView, Shortage } from './limits-view.ts'
import type { ModelView } from './model-view.ts'
import type { Outlook } from './outlook.ts'
import type { TokensView } from './tokens-view.ts'

export const ROUTES = [
  'chat',
  'completions',
  'embeddings',
  'responses',
  'messages',
  'count_tokens',
  'rerank',
  'moderations',
  'speech',
  'transcriptions',
  'translations',
  'images',
  'other',
] as const
export type Route = (typeof ROUTES)[number]

/** What a request asks for, read once from head and body. */
export interface Facts {
  readonly route: Route
  readonly path: string
  /** Absent = POST, as on every route but `other`. */
  readonly method?: ExtraRoute['method']
  /** The value of `model` as the client sent it. */
  readonly asked: string
  readonly stream: boolean
  readonly needs: readonly Capability[]
  /** An estimate that no model's own reports have changed: the same in every proxy and at every time. */
  readonly promptTokens: number
  /** What a model's own estimate is made of (`LiveView.tokens`); absent = only the number above is known. */
  readonly prompt?: Prompt
  readonly maxOutputTokens: number | undefined
  /** Lower-case names, as node:http gives them. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly client: Client
  /**
   * The body as the client sent it: read anew each time, as only few rules ask for it. Of a large one only the fields that the proxy itself
   * reads. Absent = empty.
   */
  readonly readBody?: () => Readonly<Record<string, unknown>>
  readonly keys?: AffinityKeys
}

/** What keeps requests together: asked for by few strategies, and only then worked out. Undefined = it belongs to nothing. */
export interface AffinityKeys {
  session(): number | undefined
  prefix(): number | undefined
}

/** Who asks, and the namespace whose rights the request has. */
export interface Client {
  /** "namespace/secretName" of the key, or the ServiceAccount; undefined = anonymous. */
  readonly name: string | undefined
  readonly namespace: string
  /** "namespace/name", where a ServiceAccount's token was sent and not a key. */
  readonly serviceAccount?: string
}

/** Read-only view of the live state; its owner advances cursors and counts, decide never does. */
export interface LiveView {
  readonly limits: LimitsView
  readonly tokens: TokensView
  endpoint(id: string): EndpointView
  /** All endpoints of a model at once. */
  model(model: CompiledModel, nowMs: number): ModelView
  /** Of each candidate's model, and of all of them; `candidates`: as a rule has them at first. */
  outlook(candidates: readonly Candidate[], nowMs: number): Outlook
  /** Smooth round robin's state of one list: share still owed per member, in turns; see smooth.ts. */
  cursor(key: string): ReadonlyMap<string, number> | undefined
}

/** One attempt of this request that failed. */
export interface PastAttempt {
  readonly endpointId: string
  readonly model: Ref
  readonly failure: FailureClass
  readonly when: FallbackClass | undefined
  /** The endpoint may be tried again for this request. */
  readonly mayRepeat: boolean
  /** Its model's retry budget was spent: for this request it gets nothing more. */
  readonly spent?: boolean
  /**
   * The client has a part of an answer: the next attempt is to go on with it. `prefix`: an engine that can may be given that part; `replay`:
   * this request has to be answered again from the beginning.
   */
  readonly interrupted?: 'prefix' | 'replay' | undefined
  /** Only its credential failed, and the endpoint has another: no retry, and not counted as one. */
  readonly rotated?: boolean
  /** What it has cost, as what it gave is paid for. Absent = nothing. */
  readonly costUsd?: number
}

export interface Input {
  readonly facts: Facts
  readonly table: CompiledTable
  readonly live: LiveView
  readonly nowMs: number
  /** One number in [0, 1): all of this decision's chance comes from it. */
  readonly dice: number
  readonly past: readonly PastAttempt[]
  /** It has waited, and its turn has come: those who wait do not go before it. */
  readonly turn: boolean
  /** Its client's limits are booked: they are not asked again. */
  readonly admitted?: boolean
  /** `factors` of the candidates are wanted; the chosen one's are in `why` too. */
  readonly explain?: boolean
  /** Requests that wait for a model. */
  readonly waitingFor: (model: Ref) => number
}

/** A model that may serve the request. `lost` says why it cannot; its endpoints shrink as rules rule them out. */
export interface Candidate {
  readonly model: CompiledModel
  readonly weight: number
  /** 0 = the rule's own targets; 1, 2, … = the fallback chain in order. */
  readonly tier: number
  readonly endpoints: readonly CompiledEndpoint[]
  readonly lost: string | undefined
  /** The rule of another policy that has brought it: how it is chosen. Absent = the rule in force. */
  readonly via?: RuleInForce
  /** A limit of its own has no room, and nothing may take its place: where the strategy chooses it, the request is refused. */
  readonly short?: Shortage
  /** What the strategy made of it, where the input asks for it. */
  readonly factors?: Factors
}

/** Numbers a strategy went by. Adaptive has the first six; the others have what they compare. */
export interface Factors {
  /** As declared. */
  readonly weight: number
  /** 0 to 1 each. */
  readonly availability?: number
  readonly speed?: number
  readonly cheapness?: number
  readonly fitness?: number
  /** Of the requests that would be sent now, 0 to 1. */
  readonly share?: number
  /** Requests ahead of a new one, for each endpoint that takes requests. */
  readonly ahead?: number
  /** Until the whole answer is there, as predicted. */
  readonly answerMs?: number
  /** Of this request, estimated. */
  readonly costUsd?: number
}

/** The rule in force: a policy's, or the implied one of a model asked for by name ("direct"). */
export interface RuleInForce extends Limiting {
  readonly name: string
  readonly strategy: Strategy
  readonly fallback: Fallback
  /** Undefined = each request for itself. */
  readonly sticky: Sticky | undefined
  /** Expressions that could not be evaluated for this request, and so did not hold. Absent = none. */
  readonly failedExpressions?: number
}

/** What the rules hand on to each other. */
export interface Ctx {
  readonly claim: Claim | undefined
  readonly rule: RuleInForce
  readonly candidates: readonly Candidate[]
  /** Of each candidate's whole model, by the candidates' index. */
  readonly outlook: Outlook
  /** Every endpoint left is cooling down: the one that recovers soonest is tried all the same. */
  readonly panic: boolean
}
