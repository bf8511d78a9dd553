/**
 * A decision with all that led to it: the same as `decide` gives, which of a policy's rules held, and what each step ruled out and why. Requests do
 * not pay for it: steps are asked again, about one endpoint at a time, and say of it what they say of a target that has nothing else.
 */
import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import { RULES, START } from './decide.ts'
import { type Decision, type Rule, refuse, type Verdict } from './decision.ts'
import type { Candidate, Ctx, Input } from './input.ts'
import { Matching, type Mismatch } from './match/match.ts'
import { matchingRule } from './rules/matching-rule.ts'

export interface RuledOut {
  /** The step's name in `RULES`. */
  readonly by: string
  readonly because: string
}

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
  /** Of the policy that was asked, up to the first that holds. Empty = a model was asked for by name, or nothing that the client may use. */
  readonly rules: readonly RuleSeen[]
  /** By index of the decision's candidates; undefined = still in the running. */
  readonly candidates: readonly (RuledOut | undefined)[]
  /** By endpoint id. */
  readonly endpoints: ReadonlyMap<string, RuledOut>
}

export function explainDecision(asked: Input): Explained {
  const input = { ...asked, explain: true }
  const candidates: (RuledOut | undefined)[] = []
  const endpoints = new Map<string, RuledOut>()
  let rules: readonly RuleSeen[] = []
  let ctx = START
  for (const [name, rule] of Object.entries(RULES)) {
    if (rule === matchingRule) rules = rulesSeen(ctx, input)
    const verdict = rule(ctx, input)
    for (const [at, after] of left(verdict).entries()) {
      if (after.lost !== undefined) candidates[at] ??= { by: name, because: after.lost }
      for (const endpoint of gone(ctx.candidates[at], after))
        endpoints.set(endpoint.id, { by: name, because: reasonOf(rule, { ctx, input, at, endpoint, survivor: survivorOf(left(verdict)) }) })
    }
    if (verdict.kind !== 'next') return { decision: verdict, rules, candidates, endpoints }
    ctx = verdict.ctx
  }
  return { decision: refuse(ctx, 'internal', 'No rule decided.'), rules, candidates, endpoints }
}

const left = (verdict: Verdict): readonly Candidate[] => (verdict.kind === 'next' ? verdict.ctx.candidates : verdict.candidates)

function gone(before: Candidate | undefined, after: Candidate): readonly CompiledEndpoint[] {
  if (before === undefined || before.endpoints.length === after.endpoints.length) return []
  const kept = new Set(after.endpoints)
  return before.endpoints.filter((endpoint) => !kept.has(endpoint))
}

interface Survivor {
  readonly at: number
  readonly endpoint: CompiledEndpoint
}

function survivorOf(candidates: readonly Candidate[]): Survivor | undefined {
  for (const [at, { lost, endpoints }] of candidates.entries()) {
    const [endpoint] = endpoints
    if (lost === undefined && endpoint !== undefined) return { at, endpoint }
  }
  return undefined
}

interface About {
  readonly ctx: Ctx
  readonly input: Input
  readonly at: number
  readonly endpoint: CompiledEndpoint
  readonly survivor: Survivor | undefined
}

/** What the rule says where the candidate has this endpoint alone, beside one that stays: some rules only choose the better one. */
function reasonOf(rule: Rule, { ctx, input, at, endpoint, survivor }: About): string {
  const pairs = [{ at, endpoint }, ...(survivor === undefined ? [] : [survivor])]
  const candidates = pairs.flatMap((pair) => {
    const candidate = ctx.candidates[pair.at]
    return candidate === undefined ? [] : [{ ...candidate, endpoints: [pair.endpoint] }]
  })
  const views = pairs.flatMap((pair) => ctx.outlook.views[pair.at] ?? [])
  const [first] = left(rule({ ...ctx, candidates, outlook: { ...ctx.outlook, views } }, input))
  return first?.lost === undefined || first.lost === '' ? 'others are better placed' : first.lost
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
