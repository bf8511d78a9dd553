/** Header sets as providers document or send them; values are made up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Headers, type HeardLimit, heardLimits } from './limit-headers.ts'

const NOW_MS = Date.parse('2026-11-25T12:00:00Z')

type Lines = Readonly<Record<string, readonly [limit: number | undefined, remaining: number | undefined, resetMs: number | undefined]>>

const CASES: Readonly<Record<string, [Headers, Lines]>> = {
  'no limits': [{ 'content-type': 'application/json', 'retry-after': '3' }, {}],
  OpenAI: [
    {
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-limit-tokens': '150000',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-remaining-tokens': '149984',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-reset-tokens': '6m0s',
    },
    { 'x-ratelimit-requests': [60, 59, 1000], 'x-ratelimit-tokens': [150_000, 149_984, 360_000] },
  ],
  'OpenAI, another kind beside the known ones': [
    {
      'x-ratelimit-limit-tokens_usage_based': '1000000',
      'x-ratelimit-remaining-tokens_usage_based': '900000',
      'x-ratelimit-reset-tokens_usage_based': '12ms',
    },
    { 'x-ratelimit-tokens_usage_based': [1_000_000, 900_000, 12] },
  ],
  Anthropic: [
    {
      'anthropic-ratelimit-requests-limit': '50',
      'anthropic-ratelimit-requests-remaining': '49',
      'anthropic-ratelimit-requests-reset': '2026-11-25T12:00:01Z',
      'anthropic-ratelimit-tokens-limit': '90000',
      'anthropic-ratelimit-tokens-remaining': '89000',
      'anthropic-ratelimit-tokens-reset': '2026-11-25T12:01:00Z',
      'anthropic-ratelimit-input-tokens-limit': '50000',
      'anthropic-ratelimit-input-tokens-remaining': '0',
      'anthropic-ratelimit-input-tokens-reset': '2026-11-25T12:00:30Z',
      'anthropic-ratelimit-output-tokens-limit': '8000',
      'anthropic-ratelimit-output-tokens-remaining': '8000',
      'anthropic-ratelimit-output-tokens-reset': '2026-11-25T12:00:00Z',
    },
    {
      'anthropic-ratelimit-requests': [50, 49, 1000],
      'anthropic-ratelimit-tokens': [90_000, 89_000, 60_000],
      'anthropic-ratelimit-input-tokens': [50_000, 0, 30_000],
      'anthropic-ratelimit-output-tokens': [8000, 8000, 0],
    },
  ],
  'Anthropic, subscriptions: epoch seconds': [
    {
      'anthropic-ratelimit-unified-status': 'allowed',
      'anthropic-ratelimit-unified-limit': '100',
      'anthropic-ratelimit-unified-remaining': '12',
      'anthropic-ratelimit-unified-reset': String(NOW_MS / 1000 + 90),
    },
    { 'anthropic-ratelimit-unified': [100, 12, 90_000] },
  ],
  'Azure OpenAI: plain seconds': [
    {
      'x-ratelimit-limit-requests': '100',
      'x-ratelimit-remaining-requests': '99',
      'x-ratelimit-reset-requests': '10',
      'x-ratelimit-limit-tokens': '100000',
      'x-ratelimit-remaining-tokens': '99000',
    },
    { 'x-ratelimit-requests': [100, 99, 10_000], 'x-ratelimit-tokens': [100_000, 99_000, undefined] },
  ],
  'Azure OpenAI, Responses: -1 and 0 say nothing': [
    {
      'x-ratelimit-limit-requests': '100',
      'x-ratelimit-remaining-requests': '98',
      'x-ratelimit-limit-tokens': '-1',
      'x-ratelimit-remaining-tokens': '-1',
      'x-ratelimit-reset-tokens': '0',
    },
    { 'x-ratelimit-requests': [100, 98, undefined] },
  ],
  'Azure OpenAI, Responses: a limit of 0 says nothing': [
    { 'x-ratelimit-limit-tokens': '0', 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '0' },
    {},
  ],
  'Mistral: minutes and months': [
    {
      'x-ratelimit-limit-req-minute': '60',
      'x-ratelimit-remaining-req-minute': '58',
      'x-ratelimit-limit-tokens-minute': '500000',
      'x-ratelimit-remaining-tokens-minute': '499000',
      'x-ratelimit-limit-tokens-month': '1000000000',
      'x-ratelimit-remaining-tokens-month': '999000000',
    },
    {
      'x-ratelimit-req-minute': [60, 58, undefined],
      'x-ratelimit-tokens-minute': [500_000, 499_000, undefined],
      'x-ratelimit-tokens-month': [1_000_000_000, 999_000_000, undefined],
    },
  ],
  'Mistral, older: by size': [
    {
      'ratelimitbysize-limit': '2000000',
      'ratelimitbysize-remaining': '1999000',
      'ratelimitbysize-reset': '48',
      'x-ratelimitbysize-limit-minute': '500000',
      'x-ratelimitbysize-remaining-minute': '499900',
    },
    { ratelimitbysize: [2_000_000, 1_999_000, 48_000], 'x-ratelimitbysize-minute': [500_000, 499_900, undefined] },
  ],
  'Groq: requests a day, tokens a minute': [
    {
      'x-ratelimit-limit-requests': '14400',
      'x-ratelimit-limit-tokens': '18000',
      'x-ratelimit-remaining-requests': '14370',
      'x-ratelimit-remaining-tokens': '17997',
      'x-ratelimit-reset-requests': '2m59.56s',
      'x-ratelimit-reset-tokens': '7.66s',
    },
    { 'x-ratelimit-requests': [14_400, 14_370, 179_560], 'x-ratelimit-tokens': [18_000, 17_997, 7660] },
  ],
  'OpenRouter: epoch milliseconds': [
    { 'x-ratelimit-limit': '20', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(NOW_MS + 45_000) },
    { 'x-ratelimit': [20, 0, 45_000] },
  ],
  'the IETF draft: a policy behind the number': [
    { 'ratelimit-limit': '100, 100;w=60', 'ratelimit-remaining': '40', 'ratelimit-reset': '30' },
    { ratelimit: [100, 40, 30_000] },
  ],
  'what remains without a limit': [{ 'x-ratelimit-remaining-tokens': '0' }, { 'x-ratelimit-tokens': [undefined, 0, undefined] }],
  'a header sent twice, words, nothing at all': [
    {
      'x-ratelimit-limit-tokens': ['5', '6'],
      'x-ratelimit-remaining-requests': 'many',
      'x-ratelimit-reset-tokens': '',
      'x-ratelimit': '1',
    },
    {},
  ],
}

for (const [name, [headers, lines]] of Object.entries(CASES)) {
  test(name, () => {
    const expected: HeardLimit[] = Object.entries(lines).map(([kind, [limit, remaining, resetMs]]) => ({
      name: kind,
      limit,
      remaining,
      resetMs,
    }))
    assert.deepEqual(heardLimits(headers, NOW_MS), expected)
  })
}

test('whatever stands there: at most sixteen limits, nothing below zero, no reset beyond a week', () => {
  const word = fc.constantFrom('limit', 'remaining', 'reset', 'ratelimit', 'x', 'tokens', 'requests', '', '__proto__', 'constructor')
  const name = fc.oneof(
    fc.array(word, { maxLength: 6 }).map((words) => words.join('-')),
    fc.nat(99).map((at) => `x-ratelimit-limit-${at}`),
  )
  const text = fc.oneof(
    fc.string(),
    fc.double().map(String),
    fc.constantFrom('0', '-1', '1.2.3s', '9h9h9h', 'NaN', '1e999', '9'.repeat(40)),
  )
  const value = fc.oneof(text, fc.array(text), fc.constant(undefined))
  fc.assert(
    fc.property(fc.dictionary(name, value, { maxKeys: 60 }), (headers) => {
      const limits = heardLimits(headers, NOW_MS)
      assert.ok(limits.length <= 16)
      for (const { limit, remaining, resetMs } of limits) {
        assert.ok((limit ?? 1) > 0 && (remaining ?? 0) >= 0)
        assert.ok(resetMs === undefined || (resetMs >= 0 && resetMs <= 7 * 86_400_000))
      }
    }),
    { numRuns: 500 },
  )
})
