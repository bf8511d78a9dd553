/**
 * A decision with all that led to it. In: what decide gets. Out: the decision, which conditions of a policy's rules did not hold, and which
 * step took which endpoint out. For people: it asks everything twice.
 */
import { decideWatched } from './decide.ts'
import type { Decision, Rule } from './decision.ts'
import type { Ctx, Input } from './input.ts'
import { Matching, type Mismatch } from './match/match.ts'
import { capable } from './rules/capable.ts'
import { hasAdapter } from './rules/has-adapter.ts'
import { hasSlot } from './rules/has-slot.ts'
import { healthyEndpoint } from './rules/healthy-endpoint.ts'
import { lastResort } from './rules/last-resort.ts'
import { notGivenUp } from './rules/not-given-up.ts'
import { withinContext } from './rules/within-context.ts'
import { withinCost } from './rules/within-cost.ts'
import { withinOutput } from './rules/within-output.ts'
import { withinQuota } from './rules/within-quota.ts'

/** What each step asks of an endpoint, in the words of an answer. */
const ASKS: ReadonlyMap<Rule, string> = new Map([
  [capable, 'it lacks a capability'],
  [hasAdapter, 'its engine does not have the adapter'],
  [withinContext, 'its context window is too small'],
  [withinOutput, 'it refuses that many output tokens'],
  [withinCost, 'it would cost too much, or its price is not known'],
  [lastResort, 'it is a last resort'],
  [notGivenUp, 'it has been tried'],
  [withinQuota, 'a limit or quota has no room'],
  [healthyEndpoint, 'it is down or cooling down'],
  [hasSlot, 'it is full'],
])

export interface RuleSeen {
  readonly rule: string
  readonly holds: boolean
  /** Of each of its matches the first condition that does not hold. */
  readonly mismatches: readonly Mismatch[]
  /** Why an expression could not be evaluated. */
  readonly failure?: string
}

export interface Explained {
  readonly decision: Decision
  /** Up to the first that holds. Empty = a model was asked for by name. */
  readonly rules: readonly RuleSeen[]
  /** By id. */
  readonly ruledOut: ReadonlyMap<string, string>
}

export function explainDecision(input: Input): Explained {
  const ruledOut = new Map<string, string>()
  let rules: readonly RuleSeen[] = []
  const decision = decideWatched({ ...input, explain: true }, (rule, before, after) => {
    if (rules.length === 0) rules = rulesSeen(after, input)
    const asks = ASKS.get(rule)
    if (asks !== undefined) noteLost(before, after, asks, ruledOut)
  })
  return { decision, rules, ruledOut }
}

function rulesSeen({ claim }: Ctx, { facts, nowMs }: Input): readonly RuleSeen[] {
  if (claim?.kind !== 'policy') return []
  const seen: RuleSeen[] = []
  for (const rule of claim.policy.rules) {
    const matching = new Matching(facts, nowMs)
    const found = rule.matches.map((match) => matching.mismatch(match))
    const holds = found.length === 0 || found.includes(undefined)
    const mismatches = found.filter((one) => one !== undefined)
    seen.push({ rule: rule.entry.name, holds, mismatches, ...(matching.lastFailure !== '' && { failure: matching.lastFailure }) })
    if (holds) break
  }
  return seen
}

function noteLost(before: Ctx, after: Ctx, asks: string, ruledOut: Map<string, string>): void {
  for (const [at, { endpoints, lost }] of before.candidates.entries()) {
    const now = after.candidates[at]
    if (lost !== undefined || now === undefined || now.endpoints === endpoints) continue
    for (const { id } of endpoints) if (!now.endpoints.some((one) => one.id === id)) ruledOut.set(id, asks)
  }
}
