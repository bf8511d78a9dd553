/** A real llama-server with fewer slots than requests: it says nothing to those who queue, and that is no fault of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, asking } from '../support/client.ts'
import { startEngine } from '../support/engine/engine.ts'
import { eventually } from '../support/eventually.ts'
import { startProxy } from '../support/proxy.ts'
import { oneModel } from '../support/table.ts'

const FIRST_TOKEN_MS = 400

const request = (maxTokens: number): object => ({
  model: 'tiny',
  stream: true,
  max_tokens: maxTokens,
  messages: [{ role: 'user', content: 'go on' }],
})

test('requests that queue inside an engine outlast the first-token deadline, for as long as it says that they wait', async (t) => {
  const engine = await startEngine({ model: 'random', alias: 'tiny', slots: 1, contextTokens: 65_536 })
  t.after(() => engine.close())
  const table = oneModel('tiny', engine.url, {
    probed: true,
    engine: 'LlamaCpp',
    timeouts: { firstTokenMs: FIRST_TOKEN_MS },
    health: { intervalMs: 50, timeoutMs: 2000 },
    signals: { intervalMs: 50 },
  })
  const proxy = await startProxy(table)
  t.after(() => proxy.close())
  await eventually(async () => {
    const shown = await (await fetch(`${proxy.adminUrl}/debug/endpoints`)).text()
    assert.match(shown, /"waiting": 0/)
  })
  const endless = asking(proxy.url, { body: request(60_000) })
  await endless.until((body) => body.includes('"content"'))
  const queuedAtMs = performance.now()
  const waiting = [request(3), request(3)].map((body) => asking(proxy.url, { body }))
  await eventually(async () => {
    const metrics = await (await fetch(`${proxy.metricsUrl}/metrics`)).text()
    assert.match(metrics, /^llama_swap_endpoint_waiting_requests\{[^}]*\} 2$/m)
    assert.ok(performance.now() - queuedAtMs > 3 * FIRST_TOKEN_MS, 'not yet late by far')
  })
  endless.leave()
  for (const one of waiting) {
    const got = await one.got
    assert.equal(got.status, 200, got.body)
    assert.equal(got.headers['x-llama-swap-attempts'], '1')
    assert.ok(got.body.endsWith('data: [DONE]\n\n'))
    assert.ok(got.tookMs > FIRST_TOKEN_MS)
  }
  assert.equal((await ask(proxy.url, { body: request(3) })).status, 200)
})
