/**
 * Chooses where a request goes. In: facts, the compiled table, the live view, the time, one dice, what has been tried. Out: a Decision.
 * PURE: the same input gives the same decision, so that explain and replay can ask again. Cases are in `cases/` and beside each rule.
 */
import { type Decision, type Rule, refuse } from './decision.ts'
import type { Ctx, Input } from './input.ts'
import { outlookOf } from './outlook.ts'
import { capable } from './rules/capable.ts'
import { clientMayUseModel } from './rules/client-may-use-model.ts'
import { hasAdapter } from './rules/has-adapter.ts'
import { hasSlot } from './rules/has-slot.ts'
import { healthyEndpoint } from './rules/healthy-endpoint.ts'
import { knownModel } from './rules/known-model.ts'
import { lastResort } from './rules/last-resort.ts'
import { matchingRule } from './rules/matching-rule.ts'
import { notGivenUp } from './rules/not-given-up.ts'
import { strategyChooses } from './rules/strategy-chooses.ts'
import { withinContext } from './rules/within-context.ts'
import { withinCost } from './rules/within-cost.ts'
import { withinOutput } from './rules/within-output.ts'
import { withinQuota } from './rules/within-quota.ts'

/** Order matters: cheap refusals first; what the request needs before what has failed; health last, as it alone may panic. */
export const RULES: Readonly<Record<string, Rule>> = {
  knownModel, // nothing else can be asked of a name nobody serves
  clientMayUseModel, // before any rule of a policy is read, so that a hidden policy leaks nothing
  matchingRule, // turns the name into candidates
  capable, // a missing capability is the client's to mend: say so before windows and health
  hasAdapter, // an adapter is where it is loaded
  withinContext, // never a smaller window than the prompt
  withinOutput, // a ceiling that refuses
  withinCost, // a ceiling on money, with what this request has cost already
  lastResort, // a Service's own address only where nothing else may be there
  notGivenUp, // endpoints and targets that this request has tried and may not try again
  withinQuota, // limits of ours on client and model; upstreams that have nothing left
  healthyEndpoint, // what is down or cooling; total by panic
  hasSlot, // what is full; the last filter, as waiting is for those whom something could serve
  strategyChooses, // exactly one of what is left
}
const IN_ORDER = Object.values(RULES)

const NO_RULE = {
  name: 'none',
  key: '',
  strategy: 'WeightedRandom',
  fallback: { enabled: false, when: [], targets: [] },
  sticky: undefined,
  policy: undefined,
} as const
export const START: Ctx = { claim: undefined, rule: NO_RULE, candidates: [], outlook: outlookOf([]), panic: false }

export function decide(input: Input): Decision {
  let ctx = START
  for (const rule of IN_ORDER) {
    const verdict = rule(ctx, input)
    if (verdict.kind !== 'next') return verdict
    ctx = verdict.ctx
  }
  return refuse(ctx, 'internal', 'No rule decided.')
}
