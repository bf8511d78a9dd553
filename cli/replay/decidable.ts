import type { Facts } from '../../proxy/decide/input.ts'
import { Matching } from '../../proxy/decide/match/match.ts'
import type { CompiledMatch, CompiledRule } from '../../proxy/routing-table/compiled.ts'
import { type CompiledPolicy, type CompiledTable, resolveName } from '../../proxy/routing-table/index.ts'
import { type Held, textOf, withoutUnknown } from './inferred.ts'

/**
 * Why a request cannot be decided again: what its policy's rules look at was not recorded, as headers and bodies may hold what no log should,
 * and is not `held` either. Undefined = a rule before those holds, or none of them is reached. `facts` have the headers that fit what is held.
 */
export function undecidable(table: CompiledTable, facts: Facts, nowMs: number, held: Held): string | undefined {
  const claim = resolveName(table, facts.asked, facts.client.namespace)
  if (claim?.kind !== 'policy') return undefined
  const matching = new Matching(facts, nowMs)
  for (const rule of claim.policy.rules) {
    if (rule.matches.some((match) => isKnown(match, held) && matching.mismatch(match) === undefined)) return undefined
    const unknown = unknownIn(rule, claim.policy, { matching, held })
    if (unknown !== undefined) return unknown
    if (matching.holds(rule)) return undefined
  }
  return undefined
}

function unknownIn(
  { matches, entry }: CompiledRule,
  policy: CompiledPolicy,
  { matching, held }: { matching: Matching; held: Held },
): string | undefined {
  const match = matches.find((one) => !isKnown(one, held) && matching.mismatch(withoutUnknown(one)) === undefined)
  if (match === undefined) return undefined
  return `rule ${entry.name} of ${policy.entry.ref} looks at ${match.entry.headers === undefined ? 'the request itself' : 'headers'}`
}

/** An expression may look at anything; only where the headers beside it did not hold it is not asked. */
function isKnown({ entry: { headers, cel } }: CompiledMatch, held: Held): boolean {
  if (headers === undefined) return cel === undefined
  const holds = held.get(textOf(headers))?.holds
  return holds === false || (holds === true && cel === undefined)
}
