import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import OpenAI from 'openai'
import { type SimulatedEngines, startSimulatedEngines } from './simulated.ts'

let running: SimulatedEngines
let url: string
let client: OpenAI
const model = 'simulated-fast'
const messages = [{ role: 'user' as const, content: 'Hello there' }]

before(async () => {
  running = await startSimulatedEngines()
  url = running.engines[0]?.url ?? ''
  client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 })
})
after(() => running.close())

test('two engines start, each with its model', async () => {
  assert.deepEqual(
    running.engines.map((engine) => engine.models),
    [['simulated-fast'], ['simulated-slow']],
  )
  const models = await client.models.list()
  assert.deepEqual(
    models.data.map((row) => row.id),
    [model],
  )
  assert.equal((await fetch(`${url}/health`)).status, 200)
})

test('a chat answer names the engine and repeats the prompt', async () => {
  const answer = await client.chat.completions.create({ model, messages })
  assert.match(answer.choices[0]?.message.content ?? '', /simulated-fast.*"Hello there"/)
  assert.equal(answer.choices[0]?.finish_reason, 'stop')
  assert.equal(answer.usage?.prompt_tokens, 2)
})

test('a chat stream: the role, one delta a token, the finish, the usage', async () => {
  const stream = await client.chat.completions.create({
    model,
    messages,
    stream: true,
    max_tokens: 5,
    stream_options: { include_usage: true },
  })
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  assert.equal(chunks[0]?.choices[0]?.delta.role, 'assistant')
  assert.equal(chunks.flatMap((chunk) => chunk.choices[0]?.delta.content ?? []).join(''), 'This is simulated-fast, a simulated')
  assert.equal(chunks.at(-2)?.choices[0]?.finish_reason, 'length')
  assert.deepEqual([chunks.at(-1)?.choices, chunks.at(-1)?.usage?.completion_tokens], [[], 5])
})

test('a stream without include_usage has none, and ends with [DONE]', async () => {
  const body = JSON.stringify({ model, messages, stream: true, max_tokens: 1 })
  const frames = (await (await fetch(`${url}/v1/chat/completions`, { method: 'POST', body })).text()).split('\n\n')
  assert.deepEqual(frames.slice(-2), ['data: [DONE]', ''])
  assert.ok(!frames.join('').includes('usage'))
})

test('completions, whole and streamed', async () => {
  const whole = await client.completions.create({ model, prompt: 'abc', max_tokens: 3 })
  assert.equal(whole.choices[0]?.text, 'This is simulated-fast,')
  const stream = await client.completions.create({ model, prompt: 'abc', max_tokens: 2, stream: true })
  let text = ''
  for await (const chunk of stream) text += chunk.choices[0]?.text ?? ''
  assert.equal(text, 'This is')
})

test('responses, whole and streamed', async () => {
  const whole = await client.responses.create({ model, input: 'Hello there' })
  assert.match(whole.output_text, /"Hello there"/)
  const types: string[] = []
  let text = ''
  for await (const event of await client.responses.create({
    model,
    input: [{ role: 'user', content: 'x' }],
    stream: true,
    max_output_tokens: 2,
  })) {
    types.push(event.type)
    if (event.type === 'response.output_text.delta') text += event.delta
  }
  assert.equal(text, 'This is')
  assert.deepEqual([types[0], types.at(-1)], ['response.created', 'response.incomplete'])
})

test('embeddings, one vector a text, equal for equal texts', async () => {
  const { data } = await client.embeddings.create({ model, input: ['a cat', 'a cat', 'a dog'] })
  assert.equal(data.length, 3)
  assert.deepEqual(data[0]?.embedding, data[1]?.embedding)
  assert.notDeepEqual(data[0]?.embedding, data[2]?.embedding)
})

test('another model, another route and another body are refused in OpenAI’s shape', async () => {
  const post = (path: string, body: string) => fetch(url + path, { method: 'POST', body })
  assert.equal((await post('/v1/chat/completions', '{"model":"x"}')).status, 404)
  assert.equal((await post('/v1/nothing', '{}')).status, 404)
  const broken = await post('/v1/chat/completions', '{')
  assert.equal(broken.status, 400)
  assert.match(await broken.text(), /^\{"error":\{"message":/)
})

test('a simulated engine ends when its stdin closes', async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'simulated-engine.ts')], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(createInterface({ input: child.stdout }), 'line')
  child.stdin.end()
  assert.deepEqual(await once(child, 'exit'), [0, null])
})
