import type { CompiledMatch, CompiledPolicy } from '../../routing-table/compiled.ts'
import type { Facts } from '../input.ts'
import { Matching, type Mismatch } from './match.ts'

/** What became of one rule's conditions. */
export interface ComparedRule {
  readonly rule: string
  readonly matched: boolean
  /** Of each of its matches, the first condition that does not hold, with what the request has. Empty = it matched. */
  readonly because: readonly string[]
}

/** The rules of a policy in order, up to the one that matches. Of conditions it says no more than their field. */
export function compareRules({ rules }: CompiledPolicy, facts: Facts, nowMs: number): readonly ComparedRule[] {
  const matching = new Matching(facts, nowMs)
  const compared: ComparedRule[] = []
  for (const { entry, matches } of rules) {
    const because = matches.map((match) => reasonOf(match, matching, facts)).filter((reason) => reason !== undefined)
    const matched = because.length < matches.length || matches.length === 0
    compared.push({ rule: entry.name, matched, because: matched ? [] : because })
    if (matched) break
  }
  return compared
}

function reasonOf(match: CompiledMatch, matching: Matching, facts: Facts): string | undefined {
  const failedBefore = matching.failedExpressions
  const field = matching.mismatch(match)
  if (field === undefined) return undefined
  if (matching.failedExpressions > failedBefore) return `cel could not be evaluated: ${matching.lastFailure}`
  const has = requestHas(field, facts)
  return has === '' ? field : `${field}: the request has ${has}`
}

function requestHas(field: Mismatch, { path, promptTokens, maxOutputTokens, needs, client }: Facts): string {
  switch (field) {
    case 'paths':
      return path
    case 'promptTokens':
      return `about ${Math.round(promptTokens)}`
    case 'maxOutputTokens':
      return maxOutputTokens === undefined ? 'none' : String(maxOutputTokens)
    case 'capabilities':
      return needs.join(', ')
    case 'clients':
      return client.name ?? `an unknown client of ${client.namespace}`
    case 'headers':
    case 'schedule':
    case 'cel':
      return ''
  }
}
