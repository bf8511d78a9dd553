import assert from 'node:assert/strict'
import { type Code, ERRORS, statusOf } from '../../proxy/errors.ts'
import type { Got } from './client.ts'
import { messagesOf } from './http-text.ts'
import { jsonOf } from './routes.ts'

type Json = Readonly<Record<string, unknown>>

/** One HTTP error as every one must be: its row's status, JSON in OpenAI's envelope, `x-request-id`, `x-should-retry`. Returns `error`. */
export function isError(got: Pick<Got, 'status' | 'headers' | 'body'>, code: Code): Json {
  assert.equal(got.status, statusOf({ code, message: '' }), got.body)
  return isEnvelope(got.headers, got.body, code)
}

/** The same of a raw answer: its last message. */
export function isRawError(text: string, code: Code): Json {
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1])
  const [message] = messagesOf(text)
  assert.ok(message !== undefined, `no answer in ${JSON.stringify(text)}`)
  return isError({ status, headers: Object.fromEntries(message.headers), body: message.body }, code)
}

function isEnvelope(headers: Got['headers'], body: string, code: Code): Json {
  assert.match(String(headers['content-type']), /^application\/json/)
  assert.ok(String(headers['x-request-id'] ?? '') !== '', 'x-request-id')
  assert.match(String(headers['x-should-retry']), /^(true|false)$/)
  const envelope = jsonOf(body)
  assert.deepEqual(Object.keys(envelope), ['error'])
  const { error } = envelope
  assert.ok(typeof error === 'object' && error !== null)
  const said: Json = { ...error }
  assert.deepEqual([said['code'], said['type']], [code, ERRORS[code].type])
  assert.ok(typeof said['message'] === 'string' && said['message'].length > 10)
  return said
}
