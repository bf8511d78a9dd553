import type { IncomingHttpHeaders } from 'node:http'
import { decide } from '../decide/decide.ts'
import type { Client, Facts, LiveView } from '../decide/input.ts'
import { affinityKeys } from '../dialects/affinity-key.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { readBodyAgain, readRequest } from '../dialects/request.ts'
import type { ApiError } from '../errors.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'
import type { Ref } from '../routing-table/v1.ts'
import { type ShownCandidate, shownCandidates, shownName } from './decision-headers.ts'

/** The same decision a request would get now, in full, and nothing is called. Round-robin turns are not used up. */
export interface Explanation {
  readonly table: { readonly epoch: number; readonly seq: number }
  readonly facts: Omit<Facts, 'headers'>
  readonly decision: Readonly<Record<string, unknown>>
  readonly candidates: readonly ShownCandidate[]
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

export function explain(question: ExplainQuestion): { explanation: Explanation } | { error: ApiError } {
  const { bytes, dialect, client, table, live, nowMs, dice, headers } = question
  const read = readRequest(bytes, dialect)
  if ('error' in read) return read
  const { model: asked, stream, needs, promptTokens, maxOutputTokens } = read.body
  const facts = { route: dialect.route, path: dialect.path, asked, stream, needs, promptTokens, maxOutputTokens, client }
  const decision = decide({
    facts: {
      ...facts,
      headers,
      readBody: () => readBodyAgain(read.body),
      keys: affinityKeys(headers, () => readBodyAgain(read.body)),
    },
    table,
    live,
    nowMs,
    dice,
    past: [],
    turn: false,
    waitingFor: question.waitingFor,
  })
  const { epoch, seq } = table.table
  return {
    explanation: {
      table: { epoch, seq },
      facts,
      decision: shown(decision, client.namespace),
      candidates: shownCandidates(decision.candidates, client.namespace),
    },
  }
}

function shown(decision: ReturnType<typeof decide>, clientNamespace: string): Readonly<Record<string, unknown>> {
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
