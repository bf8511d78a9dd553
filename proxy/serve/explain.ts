import type { IncomingHttpHeaders } from 'node:http'
import { rampPercent, standingOf } from '../decide/circuit-view.ts'
import type { Decision } from '../decide/decision.ts'
import { type Explained, explainDecision, type RuleSeen } from '../decide/explain.ts'
import type { Candidate, Client, Facts, Input, LiveView } from '../decide/input.ts'
import { loadOf } from '../decide/load.ts'
import { estimatedUsd } from '../decide/price.ts'
import { isVisible } from '../decide/visible.ts'
import { affinityKeys } from '../dialects/affinity-key.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { readBodyAgain, readRequest } from '../dialects/request.ts'
import type { ApiError } from '../errors.ts'
import type { CompiledEndpoint, CompiledTable } from '../routing-table/compiled.ts'
import type { Ref } from '../routing-table/v1.ts'
import { type ShownCandidate, shownCandidates, shownName } from './decision-headers.ts'

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
  /** At most 64. */
  readonly endpoints: readonly ExplainedEndpoint[]
}

interface ExplainedEndpoint {
  readonly endpoint: string
  /** Requests ahead of a new one there. */
  readonly ahead: number
  /** USD of this request there, by estimate; absent = the price is not known. */
  readonly costUsd?: number
  /** "open", "cooling", …, with the reason; absent = it gets its full share. */
  readonly state?: string
  readonly rampPercent?: number
  /** Why it was left out; absent = it was in the running. */
  readonly ruledOut?: string
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
  const facts: Facts = { ...shownFacts, prompt: read.body.prompt, headers, readBody, keys: affinityKeys(headers, readBody) }
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

function candidatesOf({ decision: { candidates }, ruledOut }: Explained, input: Input): readonly ExplainedCandidate[] {
  const { namespace } = input.facts.client
  return shownCandidates(candidates, namespace).map(({ endpoints: _count, ...candidate }, at) => ({
    ...candidate,
    endpoints: endpointsOf(candidates[at], ruledOut, input),
  }))
}

/** Of a model that the client may not know of nothing is said. */
function endpointsOf(candidate: Candidate | undefined, ruledOut: Explained['ruledOut'], input: Input): readonly ExplainedEndpoint[] {
  if (candidate === undefined || !isVisible(candidate.model, input.facts.client.namespace)) return []
  return candidate.model.withLastResorts.slice(0, MAX_ENDPOINTS).map((endpoint) => endpointOf(endpoint, ruledOut, input))
}

function endpointOf(endpoint: CompiledEndpoint, ruledOut: Explained['ruledOut'], input: Input): ExplainedEndpoint {
  const { live, nowMs, facts } = input
  const view = live.endpoint(endpoint.id)
  const standing = standingOf(view, nowMs)
  const [costUsd, percent, out] = [estimatedUsd(endpoint, facts, live), rampPercent(view.circuit, nowMs), ruledOut.get(endpoint.id)]
  return {
    endpoint: `${endpoint.backend.name}/${endpoint.id}`,
    ahead: loadOf(endpoint, input),
    ...(costUsd !== undefined && { costUsd }),
    ...(standing !== undefined && { state: standing.because === undefined ? standing.state : `${standing.state}: ${standing.because}` }),
    ...(percent < 100 && { rampPercent: percent }),
    ...(out !== undefined && { ruledOut: out }),
  }
}

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
