import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chat } from '../dialects/chat.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { embeddings } from '../dialects/embeddings.ts'
import { responses } from '../dialects/responses.ts'
import { readWhole, type WholeAnswer } from './whole.ts'

const read = (value: unknown, dialect: Dialect = chat): WholeAnswer =>
  readWhole(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), dialect)

const CHOICES = [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }]
const ERROR = { message: 'CUDA out of memory', code: 500 }
const usage = (inputTokens: number, outputTokens: number): WholeAnswer => ({
  kind: 'answer',
  usage: { inputTokens, outputTokens, cachedInputTokens: 0 },
})
const NO_USAGE: WholeAnswer = { kind: 'answer', usage: undefined }
const NONE: WholeAnswer = { kind: 'not an answer' }
/** Above 16 KiB bodies are scanned, not parsed: the same must come out. */
const LARGE = 'x'.repeat(20_000)

const CASES: Readonly<Record<string, [unknown, WholeAnswer, Dialect?]>> = {
  'an answer with its usage': [{ choices: CHOICES, usage: { prompt_tokens: 3, completion_tokens: 2 } }, usage(3, 2)],
  'an answer without': [{ choices: CHOICES }, NO_USAGE],
  'an answer whose error is null': [{ choices: CHOICES, error: null }, NO_USAGE],
  'an answer of responses': [{ output: [], error: null, usage: { input_tokens: 3, output_tokens: 2 } }, usage(3, 2), responses],
  'an answer of embeddings': [{ data: [{ embedding: [0.1] }], usage: { prompt_tokens: 3 } }, usage(3, 0), embeddings],
  'an error in place of an answer': [{ error: ERROR }, { kind: 'error', error: ERROR }],
  'an error in one line of text, as TGI and Ollama send it': [
    { error: 'Model is overloaded', error_type: 'overloaded' },
    { kind: 'error', error: { message: 'Model is overloaded', type: 'overloaded' } },
  ],
  'an error without an error field, as older vLLM and SGLang send it': [
    { object: 'error', message: 'no such thing', type: 'BadRequestError', code: 400 },
    { kind: 'error', error: { object: 'error', message: 'no such thing', type: 'BadRequestError', code: 400 } },
  ],
  'an error beside an answer is part of it': [{ choices: CHOICES, error: ERROR }, NO_USAGE],
  'an object without choices': [{ object: 'chat.completion', usage: { prompt_tokens: 3, completion_tokens: 0 } }, NONE],
  'an answer of no choices': [{ choices: [] }, NONE],
  text: ['Internal Server Error', NONE],
  nothing: ['', NONE],
  HTML: ['<html></html>', NONE],
  'a list': [[], NONE],
  'half a body': ['{"choices":[{"index":0', NONE],
  'two bodies': ['{}{}', NONE],
  null: ['null', NONE],
}

for (const [name, [value, expected, dialect]] of Object.entries(CASES)) {
  test(`whole body: ${name}`, () => assert.deepEqual(read(value, dialect), expected))
}

for (const [name, [value, expected, dialect]] of Object.entries(CASES)) {
  if (typeof value === 'string' || Array.isArray(value)) continue
  test(`whole body, large: ${name}`, () => {
    const answer = read({ padding: LARGE, ...Object(value) }, dialect)
    const { padding: _, ...error } = answer.kind === 'error' ? answer.error : {}
    assert.deepEqual(answer.kind === 'error' ? { kind: 'error', error } : answer, expected)
  })
}

test('whole body, large: half of one, or text', () => {
  assert.deepEqual(read(`{"choices":[{"index":0,"message":{"content":"${LARGE}`), NONE)
  assert.deepEqual(read(LARGE), NONE)
})
