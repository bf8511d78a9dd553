import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Engine } from '../routing-table/v1.ts'
import { chat } from './chat.ts'
import { completions } from './completions.ts'
import { scanContinuable } from './continuation.ts'
import type { Dialect } from './dialect.ts'
import { bodyFor, readRequest } from './request.ts'

const MESSAGES = '[ {"role":"user","content":"Say \\u00e9 ] } \\""} ]'
const TEXT = 'He said: "ü\n\\" 👩‍🚀'

/** The body that asks for the rest of an answer; undefined = there is none. */
function prefixed(
  dialect: Dialect,
  text: string,
  { engine = 'LlamaCpp', clamp }: { engine?: Engine; clamp?: number } = {},
): string | undefined {
  const read = readRequest(Buffer.from(text), dialect)
  assert.ok('body' in read)
  const scanned = scanContinuable(read.body.bytes)
  const prefix = scanned === undefined ? undefined : dialect.continuing?.prefixBody(scanned, TEXT, engine)
  if (prefix === undefined) return undefined
  const to = { upstreamModel: 'm', clampOutputTokens: clamp, askUsage: false, engine, prefix }
  return Buffer.from(bodyFor(read.body, to, dialect)).toString()
}

test('chat: the answer so far becomes the last message; every other byte stays', () => {
  const message = JSON.stringify({ role: 'assistant', content: TEXT })
  const head = `{"stream": true,\t"messages":${MESSAGES.slice(0, -1)}`
  assert.equal(prefixed(chat, `${head}],"model":"m"}`), `${head},${message}],"model":"m"}`)
})

test('chat: vLLM is told to go on with it', () => {
  const body = prefixed(chat, `{"model":"m","stream":true,"messages":${MESSAGES}}`, { engine: 'vLLM' })
  const { continue_final_message: goOn, add_generation_prompt: generate, messages } = JSON.parse(body ?? '{}')
  assert.deepEqual([goOn, generate, messages.length], [true, false, 2])
})

test('chat: the output limit is lowered beside it', () => {
  const body = prefixed(chat, `{"model":"m","max_tokens":50,"stream":true,"messages":${MESSAGES}}`, { clamp: 30 })
  assert.equal(JSON.parse(body ?? '{}').max_tokens, 30)
})

test('completions: the answer so far stands behind the prompt', () => {
  const body = prefixed(completions, '{"prompt":"Say \\u00e9: ","model":"m","stream":true}')
  assert.equal(body, `{"prompt":"Say \\u00e9: ${JSON.stringify(TEXT).slice(1, -1)}","model":"m","stream":true}`)
  assert.equal(JSON.parse(body ?? '{}').prompt, `Say é: ${TEXT}`)
})

const without: Readonly<Record<string, readonly [Dialect, string]>> = {
  'an answer that the client has begun itself': [chat, '"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]'],
  'no messages': [chat, '"messages":[]'],
  'a word of its own on how to go on': [chat, `"messages":${MESSAGES},"add_generation_prompt":true`],
  'several prompts': [completions, '"prompt":["a","b"]'],
  'a prompt of token numbers': [completions, '"prompt":[1,2,3]'],
  'messages too large to be read again': [chat, `"messages":[{"role":"user","content":"${'x'.repeat(1024 * 1024)}"}]`],
}

for (const [what, [dialect, fields]] of Object.entries(without)) {
  test(`${dialect.route}: ${what}: the text so far cannot be appended, but the request may be replayed`, () => {
    const text = `{"model":"m","stream":true,${fields}}`
    assert.equal(prefixed(dialect, text), undefined)
    assert.ok(scanContinuable(Buffer.from(text)) !== undefined)
  })
}

for (const field of [
  '"n":2',
  '"best_of":3',
  '"logprobs":true',
  '"logprobs":0',
  '"top_logprobs":2',
  '"response_format":{"type":"json_schema","json_schema":{"name":"a"}}',
  '"response_format":{"type":"json_object"}',
  '"grammar":"root ::= a"',
  '"guided_json":{}',
  '"structured_outputs":{"regex":"a"}',
  '"echo":true',
  '"suffix":"end"',
  '"audio":{"voice":"a"}',
  '"messages":[]', // doubled: who knows which one the engine has read
]) {
  test(`a request with ${field} comes from one engine in one piece`, () => {
    assert.equal(scanContinuable(Buffer.from(`{"model":"m","messages":${MESSAGES},${field}}`)), undefined)
  })
}

for (const field of [
  '"n":1',
  '"n":null',
  '"logprobs":false',
  '"logprobs":null',
  '"response_format":{"type":"text"}',
  '"suffix":""',
  '"echo":false',
]) {
  test(`${field} asks for nothing special`, () => {
    assert.ok(scanContinuable(Buffer.from(`{"model":"m","messages":${MESSAGES},${field}}`)) !== undefined)
  })
}
