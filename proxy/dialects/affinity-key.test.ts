import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { affinityKeys } from './affinity-key.ts'

const keysOf = (body: Readonly<Record<string, unknown>>, headers: Readonly<Record<string, string>> = {}) => {
  const keys = affinityKeys(headers, () => body)
  return { session: keys.session(), prefix: keys.prefix() }
}
const chat = (...contents: readonly unknown[]) => ({
  messages: contents.map((content, at) => ({ role: at === 0 ? 'system' : at % 2 === 1 ? 'user' : 'assistant', content })),
})

test('a conversation keeps its keys as it goes on', () =>
  assert.deepEqual(keysOf(chat('Be brief.', 'Hi')), keysOf(chat('Be brief.', 'Hi', 'Hello.', 'And then?'))))

test('another first question is another conversation, and another prefix', () => {
  const [one, other] = [keysOf(chat('Be brief.', 'Hi')), keysOf(chat('Be brief.', 'Bye'))]
  assert.notEqual(one.session, other.session)
  assert.notEqual(one.prefix, other.prefix)
})

test('questions that differ only far behind their beginning share the prefix, and are sessions of their own', () => {
  const document = 'word '.repeat(1000)
  const [one, other] = [keysOf(chat('Answer.', `${document}Who?`)), keysOf(chat('Answer.', `${document}When?`))]
  assert.equal(one.prefix, other.prefix)
  assert.notEqual(one.session, other.session)
})

test('a session has the name that it is given: by the header, then by the field', () => {
  const named = keysOf(chat('a', 'b'), { 'x-session-id': 's1' }).session
  assert.equal(keysOf(chat('c', 'd'), { 'x-session-id': 's1' }).session, named)
  assert.equal(keysOf({ ...chat('a', 'b'), prompt_cache_key: 's1' }).session, named)
  assert.notEqual(keysOf({ ...chat('a', 'b'), prompt_cache_key: 's2' }).session, named)
})

test('the same words in the forms of all routes', () => {
  const parts = [{ type: 'text', text: 'Hi' }]
  const { prefix } = keysOf(chat('Be brief.', 'Hi'))
  assert.equal(keysOf(chat('Be brief.', parts)).prefix, prefix)
  assert.equal(keysOf({ system: 'Be brief.', messages: [{ role: 'user', content: parts }] }).prefix, prefix)
  assert.equal(keysOf({ instructions: 'Be brief.', input: [{ role: 'user', content: 'Hi' }] }).prefix, prefix)
  assert.equal(keysOf({ prompt: 'Hi' }).prefix, keysOf({ input: 'Hi' }).prefix)
})

test('what has no prompt has no keys', () => assert.deepEqual(keysOf({ model: 'auto' }), { session: undefined, prefix: undefined }))

test('any body has numbers or none', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('messages', 'input', 'prompt', 'system', 'prompt_cache_key'), fc.jsonValue()), (body) => {
      for (const key of Object.values(keysOf(body))) assert.ok(key === undefined || Number.isSafeInteger(key))
    }),
  )
})
