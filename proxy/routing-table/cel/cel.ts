/**
 * CEL expressions over a request: the one environment that the operator checks them in and a proxy runs them in. In: a text. Out: a program, or
 * what is wrong with it and where. A program takes bounded time: no function that can stall, and what it is going to look at is counted
 * before it runs, against an allowance that all expressions of one decision share.
 */
import { Environment } from '@marcbachmann/cel-js'
import { type Allowance, spend } from './allowance.ts'
import type { CelInput } from './cel-input.ts'
import { readsOf } from './reads.ts'

/** Throws where the request has not what it asks for, and where looking at it would take too long. */
export type CelProgram = (input: CelInput, allowance: Allowance) => boolean

export interface CelMistake {
  readonly message: string
  /** Both from 1. */
  readonly line: number
  readonly column: number
}

const FACTS = {
  route: 'string',
  path: 'string',
  stream: 'bool',
  promptTokens: 'int',
  maxOutputTokens: 'int',
  capabilities: 'list<string>',
}
const CLIENT = { name: 'string', namespace: 'string', serviceAccount: 'string' }

const environment = new Environment({ limits: { maxAstNodes: 400, maxDepth: 40, maxListElements: 100, maxMapEntries: 32 } })
  .registerVariable('request', 'map')
  .registerVariable('client', { schema: CLIENT })
  .registerVariable('headers', 'map<string, string>')
  .registerVariable('facts', { schema: FACTS })

export function compileCel(text: string): { readonly program: CelProgram } | { readonly mistake: CelMistake } {
  try {
    const parsed = environment.parse(text)
    const { valid, type = 'dyn', error } = parsed.check()
    if (!valid) return { mistake: mistakeOf(error, text) }
    if (type !== 'bool' && type !== 'dyn')
      return { mistake: { message: `must be true or false, and is of type ${type}`, line: 1, column: 1 } }
    const {
      reads,
      forbidden: [first],
    } = readsOf(parsed.ast)
    if (first !== undefined) return { mistake: { message: first.message, ...placeOf(first.at, text) } }
    return {
      program: (input, allowance) => {
        spend(reads, input, allowance)
        const answer: unknown = parsed(input)
        if (typeof answer !== 'boolean') throw new Error('is neither true nor false')
        return answer
      },
    }
  } catch (error) {
    return { mistake: mistakeOf(error, text) }
  }
}

/** The library's message without its drawing of the place. */
function mistakeOf(error: unknown, text: string): CelMistake {
  const message = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
  const range: unknown = error instanceof Error && 'range' in error ? error.range : undefined
  const start = typeof range === 'object' && range !== null && 'start' in range && typeof range.start === 'number' ? range.start : 0
  return { message, ...placeOf(start, text) }
}

function placeOf(offset: number, text: string): { line: number; column: number } {
  const before = text.slice(0, offset).split('\n')
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}
