/**
 * Whether a rule's conditions hold for a request, and which one does not. In: compiled matches, the facts, the time. Out: the first that does
 * not hold, by its field's name. Cheap conditions are asked first, whatever their order in the resource.
 */
import { type Allowance, newAllowance } from '../../routing-table/cel/allowance.ts'
import type { CompiledMatch, CompiledRule } from '../../routing-table/compiled.ts'
import type { HeaderMatch, Match, Range } from '../../routing-table/v1.ts'
import { clientFits } from '../client-terms.ts'
import type { Facts } from '../input.ts'
import { ExpressionView } from './expression-view.ts'
import { isTime } from './schedule.ts'

/** The condition that does not hold. */
export type Mismatch = keyof Match

/** One decision's look at the conditions of many rules: the body is read at most once, and all expressions share one allowance of time. */
export class Matching {
  readonly #facts: Facts
  readonly #nowMs: number
  readonly #expressions: ExpressionView
  readonly #allowance: Allowance = newAllowance()
  /** Expressions that could not be evaluated, and so do not hold. */
  failedExpressions = 0
  /** Why the last of them could not. */
  lastFailure = ''

  constructor(facts: Facts, nowMs: number) {
    this.#facts = facts
    this.#nowMs = nowMs
    this.#expressions = new ExpressionView(facts)
  }

  /** Any of its matches; none at all means always. */
  holds({ matches }: CompiledRule): boolean {
    if (matches.length === 0) return true
    for (const match of matches) if (this.mismatch(match) === undefined) return true
    return false
  }

  /** Undefined = all of it holds. */
  mismatch(match: CompiledMatch): Mismatch | undefined {
    return plainMismatch(match.entry, this.#facts, this.#nowMs) ?? this.#expressionMismatch(match)
  }

  #expressionMismatch({ entry, holds }: CompiledMatch): 'cel' | undefined {
    if (entry.cel === undefined) return undefined
    try {
      return holds?.(this.#expressions, this.#allowance) === true ? undefined : 'cel'
    } catch (error) {
      this.failedExpressions++
      this.lastFailure = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
      return 'cel'
    }
  }
}

function plainMismatch(match: Match, facts: Facts, nowMs: number): Mismatch | undefined {
  const { capabilities, promptTokens, maxOutputTokens, headers, paths, clients, schedule } = match
  if (paths !== undefined && !paths.includes(facts.path)) return 'paths'
  if (promptTokens !== undefined && !isWithin(promptTokens, facts.promptTokens)) return 'promptTokens'
  if (maxOutputTokens !== undefined && !isWithin(maxOutputTokens, facts.maxOutputTokens)) return 'maxOutputTokens'
  if (capabilities !== undefined && !capabilities.every((capability) => facts.needs.includes(capability))) return 'capabilities'
  if (clients !== undefined && !clientFits(clients, facts.client)) return 'clients'
  if (headers !== undefined && !headers.every((header) => headerFits(header, facts))) return 'headers'
  return schedule !== undefined && !isTime(schedule, nowMs) ? 'schedule' : undefined
}

const isWithin = ({ min = 0, max = Number.POSITIVE_INFINITY }: Range, value: number | undefined): boolean =>
  value !== undefined && value >= min && value <= max

function headerFits(match: HeaderMatch, { headers }: Facts): boolean {
  // What every object has, such as "constructor", is no header.
  const sent = Object.hasOwn(headers, match.name) ? headers[match.name] : undefined
  if (sent === undefined) return false
  const values = typeof sent === 'string' ? [sent] : sent
  if (match.type === 'Present') return true
  return values.some((value) => (match.type === 'Exact' ? value === match.value : value.startsWith(match.value)))
}
