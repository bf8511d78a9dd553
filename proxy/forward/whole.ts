import type { Dialect, Usage } from '../dialects/dialect.ts'
import { isJson, type Json } from '../dialects/json.ts'
import { bytewise, scanObject } from '../dialects/json-scan.ts'

/** Up to here an answer is parsed; above it its top level is scanned, so that a long list of numbers does not stall the event loop. */
const MAX_PARSED_BYTES = 16 * 1024

export type WholeAnswer = { kind: 'answer'; usage: Usage | undefined } | { kind: 'error'; error: Json } | { kind: 'not an answer' }

/** What a complete non-stream body of status 200 really is: providers put errors into it too. */
export function readWhole(body: Buffer, dialect: Dialect): WholeAnswer {
  const top = body.length <= MAX_PARSED_BYTES ? parse(body) : scan(body)
  if (!isJson(top)) return { kind: 'not an answer' }
  const error = top['choices'] === undefined && top['output'] === undefined ? errorOf(top) : undefined
  if (error !== undefined) return { kind: 'error', error }
  const isEmpty = dialect.answerList !== undefined && hasNothing(top[dialect.answerList])
  return isEmpty ? { kind: 'not an answer' } : { kind: 'answer', usage: dialect.readUsage(top) }
}

const hasNothing = (list: unknown): boolean => list === undefined || list === null || (Array.isArray(list) && list.length === 0)

/** OpenAI's object, TGI's and Ollama's line of text, or the flat object of older vLLM and SGLang. */
function errorOf(top: Json): Json | undefined {
  const { error, error_type: type } = top
  if (isJson(error)) return error
  if (typeof error === 'string') return { message: error, ...(typeof type === 'string' && { type }) }
  return top['object'] === 'error' ? top : undefined
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined // the caller calls it no answer
  }
}

const READ = ['error', 'error_type', 'object', 'message', 'type', 'code', 'usage']
/** What is longer than this has something in it. */
const MAX_EMPTY_BYTES = 16
const PRESENT = ['choices', 'output']

function scan(body: Buffer): Json | undefined {
  const fields = scanObject(bytewise(body))
  if (fields === undefined) return undefined
  const values = fields.flatMap(({ key, valueStart, valueEnd }): [string, unknown][] => {
    if (READ.includes(key)) return [[key, parse(body.subarray(valueStart, valueEnd))]]
    if (!PRESENT.includes(key)) return []
    return [[key, valueEnd - valueStart > MAX_EMPTY_BYTES || parse(body.subarray(valueStart, valueEnd))]]
  })
  return Object.fromEntries(values)
}
