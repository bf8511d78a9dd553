import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { test } from 'node:test'
import fc from 'fast-check'
import { retryAfterMs } from './retry-after.ts'

const NOW_MS = Date.parse('2026-11-25T12:00:00Z')
const DAY_MS = 24 * 3600 * 1000

const CASES: Readonly<Record<string, [IncomingHttpHeaders, number | undefined, string?]>> = {
  'nothing said': [{}, undefined],
  'retry-after in seconds': [{ 'retry-after': '2' }, 2000],
  'retry-after in parts of a second': [{ 'retry-after': '0.25' }, 250],
  'retry-after 0': [{ 'retry-after': '0' }, 0],
  'retry-after as an HTTP date': [{ 'retry-after': 'Wed, 25 Nov 2026 12:00:30 GMT' }, 30_000],
  'retry-after as a date gone by': [{ 'retry-after': 'Wed, 25 Nov 2026 11:00:00 GMT' }, 0],
  'retry-after below zero is not believed': [{ 'retry-after': '-5' }, undefined],
  'retry-after that is no time is not believed': [{ 'retry-after': 'soon' }, undefined],
  'retry-after of years is cut to a week': [{ 'retry-after': '99999999' }, 7 * DAY_MS],
  'retry-after-ms before retry-after': [{ 'retry-after': '9', 'retry-after-ms': '1500' }, 1500],
  'Azure: x-ms-retry-after-ms before retry-after': [{ 'retry-after': '9', 'x-ms-retry-after-ms': '700' }, 700],
  'retry-after-ms that is no number: retry-after': [{ 'retry-after': '9', 'retry-after-ms': 'x' }, 9000],
  'retry-after before resets': [{ 'retry-after': '1', 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '9s' }, 1000],
  'retry-after that is no time: resets': [
    { 'retry-after': 'soon', 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '9s' },
    9000,
  ],
  'OpenAI: the reset of the limit that is used up': [
    {
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': '12ms',
      'x-ratelimit-remaining-tokens': '100',
      'x-ratelimit-reset-tokens': '6m0s',
    },
    12,
  ],
  'OpenAI: the later of two that are used up': [
    {
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-tokens': '6m0s',
    },
    360_000,
  ],
  'Groq: minutes and parts of seconds': [{ 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '2m59.56s' }, 179_560],
  'hours, minutes, seconds': [{ 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '1h2m3s' }, 3_723_000],
  'Anthropic: an RFC 3339 instant': [
    { 'anthropic-ratelimit-requests-remaining': '0', 'anthropic-ratelimit-requests-reset': '2026-11-25T12:01:00Z' },
    60_000,
  ],
  'Anthropic, subscriptions: epoch seconds': [
    { 'anthropic-ratelimit-unified-remaining': '0', 'anthropic-ratelimit-unified-reset': String(NOW_MS / 1000 + 90) },
    90_000,
  ],
  'Azure: plain seconds': [{ 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '42' }, 42_000],
  'Azure: a remaining below zero means nothing': [{ 'x-ratelimit-remaining-tokens': '-1', 'x-ratelimit-reset-tokens': '42' }, undefined],
  'limits with something remaining say nothing': [{ 'x-ratelimit-remaining-tokens': '5', 'x-ratelimit-reset-tokens': '42' }, undefined],
  'a limit used up without a reset': [{ 'x-ratelimit-remaining-tokens': '0' }, undefined],
  'Gemini: the delay in the body': [{}, 37_000, '[{"error":{"details":[{"retryDelay": "37s"}]}}]'],
  'Gemini: parts of a second': [{}, 37_250, '{"retryDelay":"37.25s"}'],
  'headers before the body': [{ 'retry-after': '1' }, 1000, '{"retryDelay":"37s"}'],
}

for (const [name, [headers, expected, body = '']] of Object.entries(CASES)) {
  test(name, () => assert.equal(retryAfterMs(headers, body, NOW_MS), expected))
}

test('whatever stands there, the answer is no wait or one from zero to a week', () => {
  const names = fc.constantFrom('retry-after', 'retry-after-ms', 'x-ratelimit-remaining-requests', 'x-ratelimit-reset-requests')
  const values = fc.oneof(fc.string(), fc.double().map(String), fc.constantFrom('0', '1.2.3s', '9h9h', 'NaN', '1e999'))
  fc.assert(
    fc.property(fc.dictionary(names, values), fc.string(), (headers, body) => {
      const wait = retryAfterMs(headers, body, NOW_MS)
      assert.ok(wait === undefined || (wait >= 0 && wait <= 7 * DAY_MS))
    }),
  )
})
