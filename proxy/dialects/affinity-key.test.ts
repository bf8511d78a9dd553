import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Route } from '../decide/input.ts'
import { affinityKeys } from './affinity-key.ts'
import { bytewise, scanObject } from './json-scan.ts'

interface Given {
  readonly headers?: Readonly<Record<string, string>>
  readonly route?: Route
}

const keysOf = (body: Readonly<Record<string, unknown>>, { headers = {}, route = 'chat' }: Given = {}) => {
  const bytes = Buffer.from(JSON.stringify(body))
  const keys = affinityKeys({ route, headers, body: { bytes, scanned: scanObject(bytewise(bytes)) ?? [] } })
  return { session: keys.session(), prefix: keys.prefix() }
}
const chat = (...contents: readonly unknown[]) => ({
  model: 'auto',
  messages: contents.map((content, at) => ({ role: at === 0 ? 'system' : at % 2 === 1 ? 'user' : 'assistant', content })),
  stream: true,
})
const words = (count: number): string => 'word '.repeat(count)

test('a conversation keeps its keys as it goes on, whatever is said later', () => {
  const begun = keysOf(chat('Be brief.', 'Hi'))
  assert.deepEqual(keysOf(chat('Be brief.', 'Hi', 'Hello.', 'And then?')), begun)
  const { messages } = chat('Be brief.', 'Hi', 'Hello.', 'And then?')
  assert.deepEqual(keysOf({ messages: [...messages, { role: 'system', content: 'The user is in a hurry.' }] }), begun)
})

test('another first question is another conversation, and another prefix', () => {
  const [one, other] = [keysOf(chat('Be brief.', 'Hi')), keysOf(chat('Be brief.', 'Bye'))]
  assert.notEqual(one.session, other.session)
  assert.notEqual(one.prefix, other.prefix)
})

test('conversations under a long system prompt are told apart by how their users begin, a greeting between them or not', () => {
  const system = words(5000)
  for (const greeting of [[], [{ role: 'assistant', content: 'How may I help you?' }]]) {
    const begun = (content: string) => keysOf({ messages: [{ role: 'system', content: system }, ...greeting, { role: 'user', content }] })
    assert.notEqual(begun('Hi').prefix, begun('Bye').prefix)
    assert.notEqual(begun('Hi').session, begun('Bye').session)
  }
})

test('questions that differ only far behind their beginning share the prefix, and are sessions of their own', () => {
  const [one, other] = [keysOf(chat('Answer.', `${words(1000)}Who?`)), keysOf(chat('Answer.', `${words(1000)}When?`))]
  assert.equal(one.prefix, other.prefix)
  assert.notEqual(one.session, other.session)
})

test('a session has the name that it is given: by the header, then by the field', () => {
  const named = keysOf(chat('a', 'b'), { headers: { 'x-session-id': 's1' } }).session
  assert.equal(keysOf(chat('c', 'd'), { headers: { 'x-session-id': 's1' } }).session, named)
  assert.equal(keysOf({ ...chat('a', 'b'), prompt_cache_key: 's1' }).session, named)
  assert.notEqual(keysOf({ ...chat('a', 'b'), prompt_cache_key: 's2' }).session, named)
  assert.equal(keysOf({ ...chat('a', 'b'), prompt_cache_key: 7 }).session, keysOf(chat('a', 'b')).session)
})

test('the same words in the forms of all routes', () => {
  const parts = [{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }]
  const { prefix } = keysOf(chat('Be brief.', 'Hi'))
  assert.equal(keysOf(chat('Be brief.', parts)).prefix, prefix)
  const turn = [{ role: 'user', content: parts }]
  assert.equal(keysOf({ system: 'Be brief.', messages: turn }, { route: 'messages' }).prefix, prefix)
  assert.equal(keysOf({ system: [{ type: 'text', text: 'Be brief.' }], messages: turn }, { route: 'messages' }).prefix, prefix)
  assert.equal(keysOf({ instructions: 'Be brief.', input: turn }, { route: 'responses' }).prefix, prefix)
  const completion = keysOf({ prompt: 'Hi' }, { route: 'completions' }).prefix
  assert.equal(keysOf({ input: 'Hi' }, { route: 'responses' }).prefix, completion)
  const tokens = (...prompt: readonly number[]) => keysOf({ prompt }, { route: 'completions' }).prefix
  assert.notEqual(tokens(1, 2, 3), tokens(1, 2, 4))
})

test('what has no prompt, or no cache of one, has no keys but a name that it was given', () => {
  const none = { session: undefined, prefix: undefined }
  assert.deepEqual(keysOf({ model: 'auto' }), none)
  assert.deepEqual(keysOf({ input: 'Hi' }, { route: 'embeddings' }), none)
  assert.ok(keysOf({ input: 'Hi' }, { route: 'embeddings', headers: { 'x-session-id': 's1' } }).session !== undefined)
})

test('pictures of one kind begin alike, and are told apart', () => {
  const picture = (name: string) => ({ type: 'image_url', image_url: { url: `data:image/jpeg;base64,${'A'.repeat(900)}${name}` } })
  const about = (name: string) => keysOf(chat('Look.', [picture(name), { type: 'text', text: 'What is it?' }]))
  assert.equal(about('cat').prefix, about('cat').prefix)
  assert.notEqual(about('cat').prefix, about('dog').prefix)
})

test('a conversation that has grown above what is parsed, or began with that much, keeps its keys', () => {
  const long = [words(20_000), words(300_000), words(1_000_000)]
  for (const first of ['Hi', ...long]) {
    const begun = keysOf(chat('Be brief.', first))
    assert.ok(begun.prefix !== undefined && begun.session !== undefined)
    assert.deepEqual(keysOf(chat('Be brief.', first, words(400_000), 'And then?')), begun)
  }
  assert.notEqual(keysOf(chat(words(20_000), 'Hi')).prefix, keysOf(chat(words(20_000), 'Bye')).prefix)
})

test('any body has numbers or none', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('messages', 'input', 'prompt', 'system', 'prompt_cache_key'), fc.jsonValue()), (body) => {
      for (const key of Object.values(keysOf(body))) assert.ok(key === undefined || Number.isSafeInteger(key))
    }),
  )
})
