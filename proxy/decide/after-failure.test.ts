import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type AfterFailure, afterFailure, type RetryQuestion } from './after-failure.ts'
import { CLASSES, type FailureClass } from './classes.ts'
import type { PastAttempt } from './input.ts'

const attempt = (endpointId: string): PastAttempt => ({
  endpointId,
  model: 'default/a',
  failure: 'RETRY_SAME',
  when: 'ServerError',
  mayRepeat: true,
})

type Lines = Partial<Omit<RetryQuestion, 'failed' | 'past'>> & Partial<RetryQuestion['failed']> & { readonly past?: readonly string[] }

/** A first attempt at endpoint "a" that failed; without jitter. */
function ask(failure: FailureClass, { when = 'ServerError', silent = false, retryAfterMs, past = [], ...rest }: Lines = {}): AfterFailure {
  return afterFailure({
    failed: { failure, when, silent, retryAfterMs },
    endpointId: 'a',
    past: past.map(attempt),
    retry: {},
    remainingMs: Number.POSITIVE_INFINITY,
    budgetAllows: true,
    dice: 0.5,
    ...rest,
  })
}

const STOP: AfterFailure = { kind: 'stop' }
const go = (mayRepeat: boolean, waitMs: number, sameModel = true): AfterFailure => ({ kind: 'go', mayRepeat, sameModel, waitMs })

const CASES: Readonly<Record<string, [AfterFailure, AfterFailure]>> = {
  'a reset: once more after the back-off': [ask('RETRY_SAME'), go(true, 100)],
  'bytes that are no answer: once more': [ask('BAD_RESPONSE'), go(true, 100)],
  'a refused connection: once more, if nothing else is left': [ask('REFUSED'), go(true, 100)],
  'an overloaded engine: once more, if nothing else is left': [ask('CAPACITY'), go(true, 100)],
  'an overloaded engine that says when: after that wait': [ask('CAPACITY', { retryAfterMs: 700 }), go(true, 700)],
  'an overloaded engine that says when, long: the back-off, as nothing else may be left': [
    ask('CAPACITY', { retryAfterMs: 30_000 }),
    go(true, 100),
  ],
  'a rate limit with a short wait: in place after it': [ask('RATE_LIMIT', { retryAfterMs: 2000 }), go(true, 2000)],
  'a rate limit at the longest wait in place': [ask('RATE_LIMIT', { retryAfterMs: 3000 }), go(true, 3000)],
  'a rate limit with a longer wait: elsewhere only': [ask('RATE_LIMIT', { retryAfterMs: 3001 }), go(false, 100)],
  'a rate limit that does not say how long: elsewhere only': [ask('RATE_LIMIT'), go(false, 100)],
  'a rate limit whose wait does not fit the deadline: elsewhere only': [
    ask('RATE_LIMIT', { retryAfterMs: 2000, remainingMs: 2000 }),
    go(false, 2000),
  ],
  'refused credentials: elsewhere only': [ask('ENDPOINT_DISABLED'), go(false, 100)],
  'a missing model: elsewhere only': [ask('MODEL_MISSING'), go(false, 100)],
  'too long a prompt: elsewhere only': [ask('CONTEXT'), go(false, 100)],
  'a content filter: elsewhere only (whether at all, the policy says)': [ask('CONTENT'), go(false, 100)],
  'a wrong request: stop': [ask('CLIENT_FATAL'), STOP],
  'something it does not implement: elsewhere only': [ask('NOT_IMPLEMENTED'), go(false, 100)],
  'our deadline: elsewhere only': [ask('OUR_DEADLINE', { silent: true }), go(false, 100)],
  'silence, of whatever class: elsewhere only': [ask('RETRY_SAME', { silent: true }), go(false, 100)],
  'the second failure of one endpoint: elsewhere only': [ask('RETRY_SAME', { past: ['a'] }), go(false, 200)],
  'failures of other endpoints do not count for this one': [ask('RETRY_SAME', { past: ['b', 'c'] }), go(true, 400)],
  'sameEndpoint 0: elsewhere only': [ask('RETRY_SAME', { retry: { sameEndpoint: 0 } }), go(false, 100)],
  'sameEndpoint 2: twice more': [ask('RETRY_SAME', { past: ['a'], retry: { sameEndpoint: 2 } }), go(true, 200)],
  'the fifth attempt: one more': [ask('RETRY_SAME', { past: ['b', 'c', 'd', 'e'] }), go(true, 1600)],
  'the sixth attempt: stop': [ask('RETRY_SAME', { past: ['b', 'c', 'd', 'e', 'f'] }), STOP],
  'totalAttempts 1: stop': [ask('RETRY_SAME', { retry: { totalAttempts: 1 } }), STOP],
  'totalAttempts 8: the back-off ends at two seconds': [
    ask('RETRY_SAME', { past: ['b', 'c', 'd', 'e', 'f', 'g'], retry: { totalAttempts: 8 } }),
    go(true, 2000),
  ],
  'no retry budget: not this model again': [ask('RETRY_SAME', { budgetAllows: false }), go(false, 100, false)],
  'no time left: stop': [ask('RETRY_SAME', { remainingMs: 0 }), STOP],
  'less time than the back-off: elsewhere, where there is no wait': [ask('RETRY_SAME', { remainingMs: 100 }), go(false, 100)],
  'the lowest dice: four fifths of the back-off': [ask('RETRY_SAME', { dice: 0 }), go(true, 80)],
  'what the upstream asked for has no jitter': [ask('RATE_LIMIT', { retryAfterMs: 500, dice: 0 }), go(true, 500)],
}

for (const [name, [answer, expected]] of Object.entries(CASES)) test(name, () => assert.deepEqual(answer, expected))

test('whatever fails, attempts end: at most totalAttempts, and no endpoint more than 1 + sameEndpoint times', () => {
  const classes = fc.constantFrom(...Object.keys(CLASSES)).filter((name): name is FailureClass => name in CLASSES)
  const fails = fc.record({ failure: classes, endpoint: fc.constantFrom('a', 'b', 'c') })
  const limits = fc.record({ sameEndpoint: fc.integer({ min: 0, max: 3 }), totalAttempts: fc.integer({ min: 1, max: 8 }) })
  fc.assert(
    fc.property(fc.array(fails, { minLength: 1, maxLength: 20 }), limits, (script, retry) => {
      const past: string[] = []
      const closed = new Set<string>()
      for (const { failure, endpoint } of script) {
        if (closed.has(endpoint)) continue
        const next = ask(failure, { past, retry, endpointId: endpoint })
        past.push(endpoint)
        if (next.kind === 'stop') break
        assert.ok(next.waitMs >= 0 && next.waitMs <= 3000)
        if (!next.mayRepeat) closed.add(endpoint)
      }
      assert.ok(past.length <= retry.totalAttempts)
      for (const id of 'abc') assert.ok(past.filter((one) => one === id).length <= 1 + retry.sameEndpoint)
    }),
  )
})

test('turns of other credentials are no retries: neither the endpoint nor the request has fewer left', () => {
  const rotated = { ...attempt('a'), rotated: true }
  const question = { failed: { failure: 'RETRY_SAME', when: 'ServerError', silent: false, retryAfterMs: undefined } } as const
  const rest = { endpointId: 'a', retry: {}, remainingMs: Number.POSITIVE_INFINITY, budgetAllows: true, dice: 0.5 }
  assert.deepEqual(afterFailure({ ...question, ...rest, past: Array(7).fill(rotated) }), go(true, 100))
})
