import type { Facts } from '../../proxy/decide/input.ts'
import { Matching } from '../../proxy/decide/match/match.ts'
import type { CompiledMatch } from '../../proxy/routing-table/compiled.ts'
import { type CompiledTable, resolveName } from '../../proxy/routing-table/index.ts'
import type { HeaderMatch } from '../../proxy/routing-table/v1.ts'
import type { Recorded } from './line.ts'

/** Conditions on headers, by their text: whether they held for one request. */
export type Held = ReadonlyMap<string, { readonly headers: readonly HeaderMatch[]; readonly holds: boolean }>

export const NOTHING_HELD: Held = new Map()

export const textOf = (headers: readonly HeaderMatch[]): string => JSON.stringify(headers)

export function withoutUnknown({ entry: { headers: _h, cel: _c, ...entry } }: CompiledMatch): CompiledMatch {
  return { entry, holds: undefined }
}

/**
 * What must have held of a request's headers, as one rule of the old table was taken and those before it were not. Empty where that table cannot
 * have been the one that was in force.
 */
export function inferred(old: CompiledTable, recorded: Recorded, facts: Facts): Held {
  const claim = resolveName(old, facts.asked, facts.client.namespace)
  if (claim?.kind !== 'policy') return NOTHING_HELD
  const { policy } = claim
  const matching = new Matching(facts, recorded.atMs)
  const held: Noted = new Map()
  for (const { entry, matches } of policy.rules) {
    const open = matches.filter((match) => matching.mismatch(withoutUnknown(match)) === undefined)
    const isSure = matches.length === 0 || open.some(({ entry: { headers, cel } }) => headers === undefined && cel === undefined)
    if (`${policy.entry.ref}/${entry.name}` === recorded.rule) {
      const [only, ...others] = open
      if (!isSure && others.length === 0) note(only, true, held)
      return held
    }
    if (isSure) return NOTHING_HELD
    for (const match of open) note(match, false, held)
  }
  return NOTHING_HELD
}

type Noted = Map<string, { readonly headers: readonly HeaderMatch[]; readonly holds: boolean }>

/** An expression beside it may be what did not hold. */
function note(match: CompiledMatch | undefined, holds: boolean, held: Noted): void {
  const { headers, cel } = match?.entry ?? {}
  if (headers !== undefined && (cel === undefined || holds)) held.set(textOf(headers), { headers, holds })
}

/** Headers with which just those conditions hold. */
export function headersFor(held: Held): Facts['headers'] {
  const sent: Record<string, string> = {}
  for (const { headers, holds } of held.values())
    if (holds) for (const match of headers) sent[match.name] = match.type === 'Present' ? 'present' : match.value
  return sent
}
