/** Faults that a status tells, rightly or wrongly. */
import assert from 'node:assert/strict'
import { error, send, whole } from '../../support/model-server/answers.ts'
import { answeredAtOnce, answeredBy, httpError, isOpenAi, rescuedAfter, tries } from './verdicts.ts'
import { type FaultCase, healthy, wholeAnswer } from './wall.ts'

const KEYS = ['sk-first-of-two', 'sk-second-of-two']
const HTML = '<html><body>Bad gateway</body></html>'

export const STATUSES: Readonly<Record<string, FaultCase>> = {
  "the backend's 401 is the operator's fault, never the client's": {
    alone: true,
    primary: () => [error(401, 'invalid_api_key', 'Incorrect API key provided: sk-abc')],
    check: (outcome) => {
      httpError(outcome, 502, 'upstream_credentials_rejected')
      assert.equal(outcome.got.headers['x-should-retry'], 'false')
      assert.equal(outcome.got.body.includes('sk-abc'), false)
      assert.equal(outcome.primary.length, 1)
    },
  },
  'a 401 with a fallback: the fallback answers, the refused target is asked once': {
    primary: () => [error(401, null, 'no')],
    check: rescuedAfter(1),
  },
  'a 403 with a fallback: the fallback answers, the refused target is asked once': {
    primary: () => [error(403, null, 'no')],
    check: rescuedAfter(1),
  },
  'a 429 for want of money is no rate limit: the fallback answers': {
    primary: () => [error(429, 'insufficient_quota', 'You exceeded your current quota')],
    check: rescuedAfter(1),
  },
  'a 429 for want of money and no fallback: the operator is named, the client need not wait': {
    alone: true,
    primary: () => [error(429, 'insufficient_quota', 'You exceeded your current quota, sk-abc')],
    check: (outcome) => {
      httpError(outcome, 502, 'upstream_credentials_rejected')
      assert.equal(outcome.got.headers['retry-after'], undefined)
      assert.equal(outcome.got.body.includes('sk-abc'), false)
    },
  },
  'a second credential is tried at once when the first is refused': {
    backend: { keys: KEYS },
    primary: (mode) => [error(401, null, 'no'), healthy(mode)],
    check: (outcome) => {
      wholeAnswer(outcome)
      assert.deepEqual(tries(outcome), [2, 0])
      const sent = outcome.primary.map(({ headers }) => headers.find(([name]) => name === 'authorization')?.[1])
      assert.deepEqual(
        sent,
        KEYS.map((key) => `Bearer ${key}`),
      )
    },
  },
  'a model the backend does not have: the fallback answers': {
    primary: () => [error(404, 'model_not_found', 'no such model')],
    check: rescuedAfter(1),
  },
  'a model nobody has: our 502, not a 404 about the name the client sent': {
    alone: true,
    primary: () => [error(404, 'model_not_found', 'no such model')],
    check: (outcome) => void httpError(outcome, 502, 'upstream_error'),
  },
  'a 501: the fallback answers': { primary: () => [error(501, null, 'not here')], check: rescuedAfter(1) },
  "the client's own mistake is passed on with its status and words, and nobody else is asked": {
    primary: () => [error(422, 'invalid_temperature', 'temperature must be at most 2')],
    check: (outcome) => {
      const said = httpError(outcome, 422, 'invalid_value')
      assert.equal(said['message'], 'temperature must be at most 2')
      assert.equal(outcome.got.headers['x-should-retry'], 'false')
      assert.deepEqual(tries(outcome), [1, 0])
    },
  },
  'both targets fail: the error is the first cause': {
    primary: () => [error(503, null, 'no capacity')],
    fallback: () => [error(401, null, 'no')],
    check: (outcome) => {
      httpError(outcome, 503, 'upstream_overloaded')
      assert.equal(outcome.fallback.length, 1)
    },
  },
  'a redirect is not followed and not passed on': {
    alone: true,
    backend: { keys: ['sk-not-for-others'] },
    primary: () => [whole('', { status: 307, headers: { location: '/elsewhere' } })],
    check: (outcome) => {
      assert.deepEqual(
        outcome.primary.filter(({ path }) => path === '/elsewhere'),
        [],
      )
      httpError(outcome, 502, 'upstream_error')
      assert.equal(outcome.got.headers['location'], undefined)
      assert.doesNotMatch(outcome.got.body, /elsewhere/)
    },
  },
  'a redirect with a fallback: the fallback answers': {
    primary: () => [whole('', { status: 302, headers: { location: 'http://127.0.0.1:1/elsewhere' } })],
    check: rescuedAfter(2),
  },
  'an HTML error page becomes JSON': {
    alone: true,
    primary: () => [whole(HTML, { status: 502, headers: { 'content-type': 'text/html' } })],
    check: (outcome) => {
      httpError(outcome, 502, 'upstream_error')
      assert.equal(outcome.got.body.includes('<'), false)
    },
  },
  'an HTML error page with a fallback: the fallback answers': {
    primary: () => [whole(HTML, { status: 502, headers: { 'content-type': 'text/html' } })],
    check: rescuedAfter(2),
  },
  'an error body without end is read up to a bound': {
    alone: true,
    primary: () => [
      [send('HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n'), { do: 'flood', text: 'x'.repeat(65_536), times: 1000 }],
    ],
    check: (outcome) => {
      httpError(outcome, 502, 'upstream_error')
      assert.ok((outcome.primary[0]?.bytes ?? 0) < 16_000_000)
    },
  },
  'an informational status before the answer is not the answer': {
    primary: (mode) => [
      [send('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'), send('HTTP/1.1 102 Processing\r\n\r\n'), ...healthy(mode)],
    ],
    check: answeredAtOnce,
  },
  'a 204 is no answer: the fallback answers': { primary: () => [[send('HTTP/1.1 204 No Content\r\n\r\n')]], check: rescuedAfter(2) },
  'a 200 without a body is no answer: the fallback answers': { primary: () => [whole('')], check: rescuedAfter(2) },
  'every circuit open: the one target left is tried all the same, and its own error is told': {
    alone: true,
    primary: () => [error(500, null, 'out of memory')],
    drive: async ({ ask }) => {
      for (let asked = 0; asked < 6; asked++) await ask()
      return ask()
    },
    check: (outcome) => {
      const said = httpError(outcome, 502, 'upstream_error')
      if (isOpenAi(outcome)) assert.deepEqual(said['upstream'], { status: 500, code: null, type: 'some_error' })
      assert.ok(outcome.primary.length >= 7, `${outcome.primary.length} tries for 7 requests`)
      answeredBy(outcome, outcome.primaryName)
    },
  },
}
