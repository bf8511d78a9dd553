/** Routes beyond OpenAI's three, at a real llama-server: Anthropic's API by its official SDK, reranking. Needs the fetched engine. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ask } from '../support/client.ts'
import { type RunningEngine, startEngine } from '../support/engine/engine.ts'
import { isError } from '../support/errors.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { askInPython } from '../support/python-sdks/ask.ts'
import { jsonOf } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

let said: RunningEngine
let ranks: RunningEngine
let proxy: RunningProxy

before(async () => {
  said = await startEngine({ model: 'scripted', pieces: ['Once', ' upon', ' a', ' time.'], alias: 'said' })
  ranks = await startEngine({ model: 'random', alias: 'ranks', extraArgs: ['--embeddings', '--pooling', 'rank'] })
  const capabilities = ['rerank'] as const
  proxy = await startProxy(
    makeTable({
      models: {
        story: { backends: [{ url: said.url, upstreamModel: 'said', engine: 'LlamaCpp', dialect: 'Anthropic' }] },
        ranker: { backends: [{ url: ranks.url, upstreamModel: 'ranks', engine: 'LlamaCpp', capabilities }] },
        'no-ranker': { backends: [{ url: said.url, upstreamModel: 'said', engine: 'LlamaCpp', capabilities }] },
        tools: { backends: [{ url: said.url, upstreamModel: 'said', engine: 'LlamaCpp' }] },
      },
    }),
  )
})
after(async () => {
  await proxy.close()
  await Promise.all([said, ranks].map((engine) => engine.close()))
})

describe('the official SDK of Anthropic', () => {
  test('a message, whole and as a stream, and a count of its tokens', async () => {
    const [whole, stream, count] = await askInPython(proxy.url, [
      { sdk: 'anthropic', model: 'story', headers: { 'x-request-id': 'real-whole' } },
      { sdk: 'anthropic', model: 'story', stream: true, headers: { 'x-request-id': 'real-stream' } },
      { sdk: 'anthropic', model: 'story', count: true },
    ])
    for (const one of [whole, stream]) {
      assert.deepEqual([one?.['text'], one?.['stop']], ['Once upon a time.', 'end_turn'], JSON.stringify(one))
      assert.ok(Number(one?.['output_tokens']) > 0)
    }
    assert.ok(Number(count?.['tokens']) > 0, JSON.stringify(count))
    for (const id of ['real-whole', 'real-stream']) {
      const line = await proxy.accessLine(id)
      assert.deepEqual([line['route'], line['status']], ['messages', 200])
      assert.ok(Number(line['input_tokens']) >= Number(count?.['tokens']) - 1 && Number(line['output_tokens']) > 0, JSON.stringify(line))
    }
  })

  test('the engine’s own error, which has the shape of OpenAI, is raised as Anthropic’s', async () => {
    const long = 'long story '.repeat(4000)
    const [error] = await askInPython(proxy.url, [{ sdk: 'anthropic', model: 'story', prompt: long }])
    assert.deepEqual([error?.['raised'], error?.['status'], error?.['code']], ['BadRequestError', 400, 'context_length_exceeded'])
  })
})

describe('reranking', () => {
  const body = { query: 'llama', documents: ['a llama', 'a swap'] }

  for (const path of ['/v1/rerank', '/rerank', '/v2/rerank']) {
    test(path, async () => {
      const got = await ask(proxy.url, {
        path,
        body: { ...body, model: 'ranker' },
        headers: { 'x-request-id': `rank${path.replaceAll('/', '-')}` },
      })
      assert.equal(got.status, 200, got.body)
      const { results } = jsonOf(got.body)
      assert.ok(Array.isArray(results) && results.length === 2)
      assert.ok(Number((await proxy.accessLine(`rank${path.replaceAll('/', '-')}`))['input_tokens']) > 0)
    })
  }

  test('at an engine that was not started for it', async () => {
    const got = await ask(proxy.url, { path: '/v1/rerank', body: { ...body, model: 'no-ranker' } })
    isError(got, 'unsupported_capability')
  })
})

test('a route of the engine that we do not know', async () => {
  const got = await ask(proxy.url, {
    path: '/v1/chat/completions/input_tokens',
    body: { model: 'tools', messages: [{ role: 'user', content: 'hi' }] },
  })
  assert.equal(got.status, 200, got.body)
  assert.ok(Number(jsonOf(got.body)['input_tokens']) > 0, got.body)
})
