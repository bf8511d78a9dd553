import type { IncomingHttpHeaders } from 'node:http'
import { rampPercent, standingOf } from '../decide/circuit-view.ts'
import type { Decision } from '../decide/decision.ts'
import type { EndpointView } from '../decide/endpoint-view.ts'
import { type Explained, explainDecision, type RuledOut, type RuleSeen } from '../decide/explain.ts'
import type { Candidate, Client, Facts, Input, LiveView } from '../decide/input.ts'
import { isFresh, loadOf } from '../decide/load.ts'
import { bucketOf, type Pace } from '../decide/pace-view.ts'
import { estimatedUsd } from '../decide/price.ts'
import { isVisible } from '../decide/visible.ts'
import { affinityKeys } from '../dialects/affinity-key.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { readBodyAgain, readRequest } from '../dialects/request.ts'
import type { ApiError } from '../errors.ts'
import type { CompiledEndpoint, CompiledTable } from '../routing-table/compiled.ts'
import type { Ref } from '../routing-table/v1.ts'
import { HIDDEN, type ShownCandidate, shownCandidates, shownName } from './decision-headers.ts'

/** The same decision a request would get now, in full, and nothing is called. Round-robin turns are not used up. */
export interface Explanation {
  readonly table: { readonly epoch: number; readonly seq: number }
  readonly facts: Readonly<Record<string, unknown>>
  /** Of the policy that was asked, up to the first that holds. */
  readonly rules: readonly RuleSeen[]
  readonly decision: Readonly<Record<string, unknown>>
  readonly candidates: readonly ExplainedCandidate[]
}

interface ExplainedCandidate extends Omit<ShownCandidate, 'endpoints'> {
  /** The step that it lost at. */
  readonly lostAt?: string
  /** The rule of another policy that has brought it, "namespace/policy/rule". */
  readonly via?: string
  /** Endpoints that were still in the running. */
  readonly left: number
  /** At most 64. */
  readonly endpoints: readonly ExplainedEndpoint[]
}

interface ExplainedEndpoint {
  readonly endpoint: string
  /** Requests ahead of a new one there, and those of them that this proxy has sent. */
  readonly ahead: number
  readonly inFlight: number
  /** As the engine last said, where that is not too old. */
  readonly running?: number
  readonly waiting?: number
  /** As averages of answers to prompts of this size; absent = none yet. */
  readonly firstTokenMs?: number
  readonly tokenMs?: number
  /** USD of this request there, by estimate; absent = the price is not known. */
  readonly costUsd?: number
  /** "open", "cooling", …, with the reason; absent = it gets its full share. */
  readonly state?: string
  readonly rampPercent?: number
  /** Of an upstream's own quota, where something is known of it. */
  readonly quotaPercent?: number
  /** Why it was left out, and at which step; absent = it was in the running. */
  readonly ruledOut?: string
  readonly ruledOutAt?: string
}

export interface ExplainQuestion {
  readonly bytes: Buffer
  readonly headers: IncomingHttpHeaders
  readonly client: Client
  readonly dialect: Dialect
  readonly table: CompiledTable
  readonly live: LiveView
  readonly nowMs: number
  readonly dice: number
  readonly waitingFor: (model: Ref) => number
}

const MAX_ENDPOINTS = 64

export function explain(question: ExplainQuestion): { explanation: Explanation } | { error: ApiError } {
  const { bytes, dialect, client, table, live, nowMs, dice, headers, waitingFor } = question
  const read = readRequest(bytes, dialect)
  if ('error' in read) return read
  const { model: asked, stream, needs, promptTokens, maxOutputTokens } = read.body
  const readBody = (): ReturnType<typeof readBodyAgain> => readBodyAgain(read.body)
  const shownFacts = { route: dialect.route, path: dialect.path, asked, stream, needs, promptTokens, maxOutputTokens, client }
  const facts: Facts = {
    ...shownFacts,
    prompt: read.body.prompt,
    headers,
    readBody,
    keys: affinityKeys({ route: dialect.route, headers, body: read.body }),
  }
  const input: Input = { facts, table, live, nowMs, dice, past: [], turn: false, waitingFor }
  const explained = explainDecision(input)
  const { epoch, seq } = table.table
  return {
    explanation: {
      table: { epoch, seq },
      facts: shownFacts,
      rules: explained.rules,
      decision: shown(explained.decision, client.namespace),
      candidates: candidatesOf(explained, input),
    },
  }
}

function candidatesOf(explained: Explained, input: Input): readonly ExplainedCandidate[] {
  const { candidates } = explained.decision
  const { namespace } = input.facts.client
  return shownCandidates(candidates, namespace).map(({ endpoints: left, ...candidate }, at) => {
    const [lostAt, via] = [explained.candidates[at]?.by, candidates[at]?.via?.key]
    return {
      ...candidate,
      ...(lostAt !== undefined && { lostAt }),
      ...(via !== undefined && candidate.model !== HIDDEN && { via }),
      left,
      endpoints: endpointsOf(candidates[at], explained.endpoints, input),
    }
  })
}

/** Of a model that the client may not know of nothing is said. */
function endpointsOf(candidate: Candidate | undefined, out: Explained['endpoints'], input: Input): readonly ExplainedEndpoint[] {
  if (candidate === undefined || !isVisible(candidate.model, input.facts.client.namespace)) return []
  return candidate.model.withLastResorts.slice(0, MAX_ENDPOINTS).map((endpoint) => endpointOf(endpoint, out.get(endpoint.id), input))
}

function endpointOf(endpoint: CompiledEndpoint, out: RuledOut | undefined, input: Input): ExplainedEndpoint {
  const { live, nowMs, facts } = input
  const view = live.endpoint(endpoint.id)
  const standing = standingOf(view, nowMs)
  const [costUsd, percent] = [estimatedUsd(endpoint, facts, live), rampPercent(view.circuit, nowMs)]
  const quotaPercent = live.limits.quotaPercent(endpoint, nowMs)
  return {
    endpoint: `${endpoint.backend.name}/${endpoint.id}`,
    ahead: loadOf(endpoint, input),
    inFlight: view.inFlight,
    ...signalsOf(endpoint, view, nowMs),
    ...paceOf(view.paces[bucketOf(facts.promptTokens)]),
    ...(costUsd !== undefined && { costUsd }),
    ...(standing !== undefined && { state: standing.because === undefined ? standing.state : `${standing.state}: ${standing.because}` }),
    ...(percent < 100 && { rampPercent: percent }),
    ...(quotaPercent > 0 && { quotaPercent }),
    ...(out !== undefined && { ruledOut: out.because, ruledOutAt: out.by }),
  }
}

function signalsOf(endpoint: CompiledEndpoint, view: EndpointView, nowMs: number): Pick<ExplainedEndpoint, 'running' | 'waiting'> {
  const { running, waiting } = view
  if (!isFresh(endpoint, view, nowMs)) return {}
  return { ...(running !== undefined && { running }), ...(waiting !== undefined && { waiting }) }
}

const paceOf = (pace: Pace | undefined): Pick<ExplainedEndpoint, 'firstTokenMs' | 'tokenMs'> =>
  pace === undefined || pace.weight === 0
    ? {}
    : { firstTokenMs: Math.round(pace.firstTokenMs), tokenMs: Math.round(pace.tokenMs * 100) / 100 }

function shown(decision: Decision, clientNamespace: string): Readonly<Record<string, unknown>> {
  if (decision.kind === 'refuse') {
    const { kind, code, message, rule, why } = decision
    return { kind, code, message, rule, why }
  }
  if (decision.kind === 'hold') {
    const { kind, maxWaitMs, priority, rule, why } = decision
    return { kind, maxWaitMs, priority, rule, why }
  }
  const { kind, model, endpoint, upstreamModel, clampOutputTokens, rule, why } = decision
  return {
    kind,
    model: shownName(model, clientNamespace),
    backend: endpoint.backend.name,
    endpoint: endpoint.id,
    upstreamModel,
    ...(clampOutputTokens !== undefined && { clampOutputTokens }),
    rule: rule.name,
    strategy: rule.strategy,
    why,
  }
}
