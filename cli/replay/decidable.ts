import type { Facts } from '../../proxy/decide/input.ts'
import { Matching } from '../../proxy/decide/match/match.ts'
import type { CompiledMatch, CompiledRule } from '../../proxy/routing-table/compiled.ts'
import { type CompiledPolicy, type CompiledTable, resolveName } from '../../proxy/routing-table/index.ts'

/**
 * Why a request cannot be decided again: what its policy's rules look at was not recorded, as headers and bodies may hold what no log should.
 * Undefined = a rule before those holds, or none of them is reached.
 */
export function undecidable(table: CompiledTable, facts: Facts, nowMs: number): string | undefined {
  const claim = resolveName(table, facts.asked, facts.client.namespace)
  if (claim?.kind !== 'policy') return undefined
  const matching = new Matching(facts, nowMs)
  for (const rule of claim.policy.rules) {
    const unknown = unknownIn(rule, claim.policy, matching)
    if (unknown !== undefined) return unknown
    if (matching.holds(rule)) return undefined
  }
  return undefined
}

function unknownIn({ matches, entry }: CompiledRule, policy: CompiledPolicy, matching: Matching): string | undefined {
  for (const match of matches) {
    const { headers, cel } = match.entry
    if (headers === undefined && cel === undefined) continue
    if (matching.mismatch(withoutUnknown(match)) !== undefined) continue
    return `rule ${entry.name} of ${policy.entry.ref} looks at ${headers === undefined ? 'the request itself' : 'headers'}`
  }
  return undefined
}

function withoutUnknown({ entry: { headers: _h, cel: _c, ...entry } }: CompiledMatch): CompiledMatch {
  return { entry, holds: undefined }
}
