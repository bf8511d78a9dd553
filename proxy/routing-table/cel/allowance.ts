import type { CelInput } from './cel-input.ts'
import type { Path, Reading, Reads } from './reads.ts'

/** How much the expressions of one decision may still look at, together. It counts down. */
export interface Allowance {
  units: number
}

/** A unit is a step of an evaluation, some 0.1 µs: 30 ms at worst, where every step fails and most others stop far below. */
const UNITS = 300_000
/** Characters of a text, or items of a list that is only copied or counted. */
const ITEMS_A_UNIT = 16

export const newAllowance = (): Allowance => ({ units: UNITS })

/** Names of the expression and of the loops around, innermost first. */
interface Scope {
  readonly variable: string
  readonly value: unknown
  readonly outer: Scope | undefined
}

/** Takes what the expression is going to look at. Throws where that is not left: it would take too long. */
export function spend(reads: Reads, input: CelInput, allowance: Allowance): void {
  if (reads.readings.length + reads.loops.length === 0) take(allowance, reads.units)
  else spendIn(reads, scopeOf(input), allowance)
}

function scopeOf(input: CelInput): Scope | undefined {
  let scope: Scope | undefined
  for (const variable of ['client', 'facts', 'headers', 'request'] as const) scope = { variable, value: input[variable], outer: scope }
  return scope
}

function spendIn({ units, readings, loops }: Reads, scope: Scope | undefined, allowance: Allowance): void {
  take(allowance, units)
  for (const reading of readings) for (const value of valuesAt(reading, scope)) weigh(value, reading, allowance)
  for (const { over, variable, body } of loops) {
    const lists: readonly unknown[] = typeof over === 'number' ? [Array.from({ length: over })] : valuesAt(over, scope)
    for (const list of lists) for (const value of itemsOf(list)) spendIn(body, { variable, value, outer: scope }, allowance)
  }
}

function take(allowance: Allowance, units: number): void {
  allowance.units -= units
  if (allowance.units < 0) throw new Error('looking at this request would take too long')
}

function weigh(value: unknown, { deep }: Reading, allowance: Allowance): void {
  const waiting = [value]
  while (waiting.length > 0) {
    const one = waiting.pop()
    take(allowance, 1 + (typeof one === 'string' || Array.isArray(one) ? one.length / ITEMS_A_UNIT : 0))
    if (deep && typeof one === 'object' && one !== null) for (const inner of Object.values(one)) waiting.push(inner)
  }
}

/** One, but where an index is not known. */
function valuesAt({ root, steps }: Path, scope: Scope | undefined): readonly unknown[] {
  let found: readonly unknown[] = [called(root, scope)]
  for (const step of steps) found = step === undefined ? found.flatMap(innerOf) : found.map((value) => at(value, step))
  return found
}

function called(name: string, scope: Scope | undefined): unknown {
  for (let one = scope; one !== undefined; one = one.outer) if (one.variable === name) return one.value
  return undefined
}

function at(value: unknown, step: string | number): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, step) ? Reflect.get(value, step) : undefined
}

const innerOf = (value: unknown): readonly unknown[] => (typeof value === 'object' && value !== null ? Object.values(value) : [])

/** A loop over a map goes through its keys. */
const itemsOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : typeof value === 'object' && value !== null ? Object.keys(value) : []
