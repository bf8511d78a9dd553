/**
 * CEL expressions over a request: the one environment that the operator checks them in and a proxy runs them in. In: a text. Out: a program, or
 * what is wrong with it and where. A program takes bounded time: no function that can stall, no loop within a loop over the same list, and
 * no list of more than 10,000 items is looked through.
 */
import { Environment } from '@marcbachmann/cel-js'
import { forbidden, hasLoop } from './bounds.ts'

/** What an expression sees. Whole numbers of ours are BigInt, as CEL's are; numbers of the request are doubles. */
export interface CelInput {
  /** The body as the client sent it. */
  readonly request: Readonly<Record<string, unknown>>
  readonly client: Readonly<Record<string, string>>
  /** Lower-case names; of several values the first; no credentials. */
  readonly headers: Readonly<Record<string, string>>
  readonly facts: Readonly<Record<string, unknown>>
}

/** Throws where the request has not what it asks for. */
export type CelProgram = (input: CelInput) => boolean

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
    const found = forbidden(parsed.ast)
    if (found !== undefined) return { mistake: { message: found.message, ...placeOf(found.at, text) } }
    const loops = hasLoop(parsed.ast)
    return {
      program: (input) => {
        if (loops && !isSmall(input.request)) throw new Error(`a list of the request has more than ${MAX_ITEMS} items`)
        return parsed({ ...input }) === true
      },
    }
  } catch (error) {
    return { mistake: mistakeOf(error, text) }
  }
}

const MAX_ITEMS = 10_000

/** Looks at as many values as it counts. */
function isSmall(request: unknown): boolean {
  let left = MAX_ITEMS
  const fits = (value: unknown): boolean => {
    if (typeof value !== 'object' || value === null) return true
    const inner: readonly unknown[] = Array.isArray(value) ? value : Object.values(value)
    left -= inner.length
    return left >= 0 && inner.every(fits)
  }
  return fits(request)
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
