import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type TestContext, test } from 'node:test'
import { discoverEngines, toLlamaModels } from './discover.ts'

async function listening(t: TestContext, handler: RequestListener): Promise<number> {
  const server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  return typeof address === 'object' ? (address?.port ?? 0) : 0
}

function answering(body: unknown, headers: Record<string, string> = {}, status = 200): RequestListener {
  return (_req, res) => res.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body))
}

function modelList(...ids: string[]): object {
  return { object: 'list', data: ids.map((id) => ({ id, object: 'model', owned_by: 'library' })) }
}

test('engines that answer with a model list are found, in the order of the ports', async (t) => {
  const first = await listening(t, answering(modelList('gemma3:latest', 'qwen3:8b')))
  const second = await listening(t, answering(modelList('meta-llama/Llama-3.1-8B-Instruct')))
  assert.deepEqual(await discoverEngines({ ports: [first, second] }), [
    { url: `http://127.0.0.1:${first}`, models: ['gemma3:latest', 'qwen3:8b'] },
    { url: `http://127.0.0.1:${second}`, models: ['meta-llama/Llama-3.1-8B-Instruct'] },
  ])
})

test('an engine is asked once, for its list', async (t) => {
  const asked: string[] = []
  const port = await listening(t, (req, res) => {
    asked.push(`${req.method} ${req.url}`)
    answering(modelList('a'))(req, res)
  })
  await discoverEngines({ ports: [port] })
  assert.deepEqual(asked, ['GET /v1/models'])
})

const NO_ENGINES: Record<string, RequestListener> = {
  'another program': answering('<html>hello</html>'),
  'a server without models': answering(modelList()),
  'an error': answering(modelList('a'), {}, 401),
  'a redirect': answering('', { location: 'http://127.0.0.1:1/v1/models' }, 302),
  'a llama-swap, by its headers': answering(modelList('auto'), { 'x-llama-swap-model': 'default/a' }),
  'a llama-swap, by its list': answering({ object: 'list', data: [{ id: 'auto', owned_by: 'llama-swap' }] }),
  'one that does not answer in time': () => {},
  'names that no model may have': answering(modelList('', '-x', 'a b', 'x'.repeat(300))),
}

for (const [sentence, handler] of Object.entries(NO_ENGINES)) {
  test(`not taken for an engine: ${sentence}`, async (t) => {
    assert.deepEqual(await discoverEngines({ ports: [await listening(t, handler)], timeoutMs: 60 }), [])
  })
}

test('a port where nobody listens is no engine', async () => {
  assert.deepEqual(await discoverEngines({ ports: [1] }), [])
})

test('a model found at two addresses is one LlamaModel with two backends', () => {
  const found = [
    { url: 'http://127.0.0.1:8000', models: ['m'] },
    { url: 'http://127.0.0.1:11434', models: ['m', 'n'] },
  ]
  assert.deepEqual(toLlamaModels(found), [
    {
      apiVersion: 'llamaswap.dev/v1alpha1',
      kind: 'LlamaModel',
      metadata: { name: 'm' },
      spec: {
        modelName: 'm',
        backends: [
          { name: 'port-8000', url: 'http://127.0.0.1:8000/v1', engine: 'Auto' },
          { name: 'port-11434', url: 'http://127.0.0.1:11434/v1', engine: 'Auto' },
        ],
      },
    },
    {
      apiVersion: 'llamaswap.dev/v1alpha1',
      kind: 'LlamaModel',
      metadata: { name: 'n' },
      spec: { modelName: 'n', backends: [{ name: 'port-11434', url: 'http://127.0.0.1:11434/v1', engine: 'Auto' }] },
    },
  ])
})

test('every model name becomes an object name that Kubernetes takes, and none twice', () => {
  const ids = ['hf.co/Acme/Llama-3.2-1B-GGUF:Q4_K_M', 'a/b', 'a.b', 'A_B', `${'x'.repeat(80)}`, `${'x'.repeat(80)}y`, '@@']
  const models = toLlamaModels([{ url: 'http://127.0.0.1:1234', models: ids }])
  const names = models.map((model) => model.metadata.name)
  assert.deepEqual(names.slice(0, 4), ['hf-co-acme-llama-3-2-1b-gguf-q4-k-m', 'a-b', 'a-b-2', 'a-b-3'])
  assert.equal(new Set(names).size, ids.length)
  for (const name of names) assert.match(name, /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)
  assert.deepEqual(
    models.map((model) => model.spec.modelName),
    ids,
  )
})

test('simulated engines are marked', () => {
  const [model] = toLlamaModels([{ url: 'http://127.0.0.1:1234', models: ['m'] }], true)
  assert.deepEqual(model?.metadata.labels, { 'llamaswap.dev/simulated': 'true' })
})
