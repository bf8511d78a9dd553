import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Code, ERRORS, envelopeIn, labelOf, skinOf, statusIn } from './errors.ts'

const CODES = Object.entries(ERRORS)
const TYPES = [
  'invalid_request_error',
  'authentication_error',
  'billing_error',
  'permission_error',
  'not_found_error',
  'request_too_large',
  'rate_limit_error',
  'api_error',
  'timeout_error',
  'overloaded_error',
]
const isCode = (text: string): text is Code => Object.hasOwn(ERRORS, text)

test('the shape is Anthropic’s under /v1/messages and nowhere else', () => {
  for (const path of ['/v1/messages', '/v1/messages/count_tokens', '/v1/messages?beta=true', '/v1/messages/nope'])
    assert.equal(skinOf(path), 'anthropic')
  for (const path of ['/', '/v1/messagesx', '/v1/chat/completions', '/v1/responses', '/upstream/v1/messages'])
    assert.equal(skinOf(path), 'openai')
})

test('every error has both shapes: a code that is a string, and a type of the API', () => {
  for (const [code, { status }] of CODES) {
    assert.ok(isCode(code))
    const error = { code, message: 'Do this.' }
    const openai: unknown = JSON.parse(envelopeIn('openai', error, 'r1'))
    assert.partialDeepStrictEqual(openai, { error: { message: 'Do this.', code, param: null } })
    const anthropic = JSON.parse(envelopeIn('anthropic', error, 'r1'))
    assert.partialDeepStrictEqual(anthropic, {
      type: 'error',
      error: { message: 'Do this.', details: { error_code: code } },
      request_id: 'r1',
    })
    assert.ok(TYPES.includes(anthropic.error.type), `${code}: ${anthropic.error.type}`)
    assert.deepEqual([statusIn('openai', error), statusIn('anthropic', error)], [status, status === 503 ? 529 : status])
  }
})

test('what the target said of itself is not told in the shape of Anthropic, and a passed-on status is kept in both', () => {
  const error = { code: 'invalid_value', message: 'No.', status: 422, upstream: { status: 422, code: 'x', type: null } } as const
  assert.equal(envelopeIn('anthropic', error, 'r1').includes('upstream'), false)
  assert.equal(statusIn('anthropic', error), 422)
})

test('the label nearest to the cause counts', () => {
  assert.equal(labelOf({ code: 'upstream_timeout', message: '' }), 'upstream_total_timeout')
  assert.equal(labelOf({ code: 'upstream_timeout', message: '', label: 'upstream_idle_timeout' }), 'upstream_idle_timeout')
})
