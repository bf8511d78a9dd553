/** The real engine itself, as every other test of this folder relies on it. Needs the fetched engine. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import OpenAI from 'openai'
import { startEngine } from '../support/engine/engine.ts'

test('the scripted model says its pieces to the OpenAI SDK, then ends', async (t) => {
  const engine = await startEngine({ model: 'scripted', pieces: ['Once', ' upon', ' a', ' time.'], alias: 'said' })
  t.after(() => engine.close())
  const client = new OpenAI({ baseURL: `${engine.url}/v1`, apiKey: 'none', maxRetries: 0 })
  const messages = [{ role: 'user' as const, content: 'hi' }]
  const chunks = []
  for await (const chunk of await client.chat.completions.create({ model: 'said', messages, stream: true })) chunks.push(chunk)
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), 'Once upon a time.')
  assert.equal(chunks.find((chunk) => chunk.choices[0]?.finish_reason)?.choices[0]?.finish_reason, 'stop')
})

test('the small model answers', async (t) => {
  const engine = await startEngine({ model: 'smollm2' })
  t.after(() => engine.close())
  const client = new OpenAI({ baseURL: `${engine.url}/v1`, apiKey: 'none', maxRetries: 0 })
  const answer = await client.chat.completions.create({
    model: 'smollm2',
    max_tokens: 20,
    messages: [{ role: 'user', content: 'Say hello.' }],
  })
  assert.ok((answer.choices[0]?.message.content ?? '').length > 0)
  assert.ok((answer.usage?.completion_tokens ?? 0) > 0)
})

test('a closed engine is gone', async () => {
  const engine = await startEngine({ model: 'random' })
  await engine.close()
  assert.throws(() => process.kill(engine.pid, 0), { code: 'ESRCH' })
})
