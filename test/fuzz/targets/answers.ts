/** What upstreams answer: whole answers, errors, headers that say when to come back, engines' model lists and metrics. */
import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { CLASSES } from '../../../proxy/decide/classes.ts'
import { DIALECTS } from '../../../proxy/dialects/dialects.ts'
import { PROFILES, recogniseEngine } from '../../../proxy/engines/engines.ts'
import { ERRORS } from '../../../proxy/errors.ts'
import { classifyAnswer } from '../../../proxy/forward/classify.ts'
import { retryAfterMs } from '../../../proxy/forward/retry-after.ts'
import { readWhole, type WholeAnswer } from '../../../proxy/forward/whole.ts'
import { heardLimits } from '../../../proxy/limits/limit-headers.ts'
import type { Dice } from '../../support/dice.ts'
import type { Target } from '../target.ts'
import { isObject, JSON_TOKENS, parsed } from './json.ts'

const dialects = [...DIALECTS.values()]
const NOW_MS = 1_750_000_000_000
const WEEK_MS = 7 * 24 * 3600 * 1000
/** More than what is parsed. */
const PADDING = Buffer.alloc(16 * 1024, ' ')

/** An answer is a JSON object with what its route answers, and without an error; a large one means the same as a small one. */
function wholeAnswers(input: Buffer, dice: Dice): void {
  const dialect = dice.pick(dialects)
  const small = readWhole(input, dialect)
  const isAnswer = isObject(parsed(input.toString()))
  if (!isAnswer) assert.equal(small.kind, 'not an answer')
  const large = readWhole(Buffer.concat([input, PADDING]), dialect)
  if (isAnswer && isUtf8(input)) assert.deepEqual(meaningOf(large), meaningOf(small), 'it means something else when it is large')
  if (small.kind === 'answer' && small.usage !== undefined)
    for (const count of Object.values(small.usage)) assert.ok(Number.isFinite(count) && count >= 0, 'a count that is none')
}

/** Of an error what is searched for signals. */
const meaningOf = (answer: WholeAnswer): unknown =>
  answer.kind === 'error' ? [answer.error['message'], answer.error['type'], answer.error['code']] : answer

/** `status`, then header lines, an empty line, the body. */
function split(input: Buffer): { status: number; headers: Record<string, string>; body: string } {
  const text = input.toString()
  const end = text.indexOf('\n\n')
  const [first = '', ...lines] = (end < 0 ? text : text.slice(0, end)).split('\n')
  const headers = lines.flatMap((line): [string, string][] => {
    const colon = line.indexOf(':')
    return colon < 0 ? [] : [[line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]]
  })
  return {
    status: 300 + (Math.abs(Number.parseInt(first, 10) || 0) % 300),
    headers: Object.fromEntries(headers),
    body: end < 0 ? '' : text.slice(end + 2),
  }
}

function errorsAreClassified(input: Buffer): void {
  const { status, headers, body } = split(input)
  const waitMs = retryAfterMs(headers, body, NOW_MS)
  assert.ok(waitMs === undefined || (waitMs >= 0 && waitMs <= WEEK_MS), `a wait of ${waitMs} ms`)
  for (const { limit, remaining, resetMs } of heardLimits(headers, NOW_MS))
    for (const value of [limit, remaining, resetMs])
      assert.ok(value === undefined || (Number.isFinite(value) && value >= 0), `${value} heard`)
  const failure = classifyAnswer(status, headers, body, NOW_MS)
  assert.ok(failure.class in CLASSES && failure.code in ERRORS)
  assert.ok(failure.status === undefined || (failure.status >= 400 && failure.status < 500))
  assert.ok(failure.message.length > 0 && failure.message.length < 5000, 'a message of no use')
  assert.ok(failure.retryAfterMs === undefined || (failure.retryAfterMs >= 0 && failure.retryAfterMs <= WEEK_MS))
}

function enginesAreRead(input: Buffer): void {
  const body = input.toString()
  const json = parsed(body)
  recogniseEngine({ status: 200, headers: {}, json })
  for (const profile of PROFILES) {
    const { contextWindowTokens } = profile.readModels(json, 'm')
    assert.ok(contextWindowTokens === undefined || contextWindowTokens > 0)
    for (const status of [200, 503]) assert.ok(['ready', 'loading', 'bad'].includes(profile.readHealth(status, body)))
    for (const value of Object.values(profile.readSignals(body, { model: 'm' }))) assert.ok(Number.isFinite(value))
  }
}

const HEADERS = [
  'retry-after: ',
  'retry-after-ms: ',
  'x-ratelimit-remaining-requests: 0\n',
  'x-ratelimit-reset-requests: ',
  'anthropic-ratelimit-tokens-reset: ',
  '1m0.5s',
  '6h59m',
  'Wed, 21 Oct 2026 07:28:00 GMT',
  '2026-01-01T00:00:00Z',
  'Infinity',
  'NaN',
  '1e9',
  '\n\n',
  '429',
  '"retryDelay":"3s"',
  '.',
  '1..5s',
]
const ERRORS_SAID = [
  '{"error":{',
  '"message":',
  '"code":',
  '"type":',
  '"status":',
  'context_length_exceeded',
  'insufficient_quota',
  'RESOURCE_EXHAUSTED',
  'model ',
  ' does not exist',
  'maximum context length is ',
  '"object":"error"',
  '"error_type":"overloaded"',
]
const METRICS = [
  'vllm:num_requests_running',
  '{engine="0"}',
  ' 1\n',
  ' NaN\n',
  '+Inf',
  '# TYPE ',
  '"data":[{"id":"m"',
  '"max_model_len":',
  '"meta":{"n_ctx":',
  '"owned_by":"vllm"',
  'llamacpp:requests_deferred 1\n',
]

export const answers: readonly Target[] = [
  {
    name: 'whole',
    json: true,
    tokens: [...JSON_TOKENS, ...ERRORS_SAID, '"choices":[],', '"usage":{"prompt_tokens":'],
    check: wholeAnswers,
  },
  { name: 'errors', tokens: [...JSON_TOKENS, ...HEADERS, ...ERRORS_SAID], check: errorsAreClassified },
  { name: 'engines', seeds: ['proxy/engines/captured/**/*.*'], json: true, tokens: [...JSON_TOKENS, ...METRICS], check: enginesAreRead },
]
