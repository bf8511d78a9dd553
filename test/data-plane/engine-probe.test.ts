/** The prober against a real llama-server: what it reads is what the engine really does. Needs the fetched engine. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Prober } from '../../proxy/probe/prober.ts'
import type { ProbedEndpoint, ProbeReport } from '../../proxy/probe/report.ts'
import { type EngineOptions, type RunningEngine, startEngine } from '../support/engine/engine.ts'

async function started(t: TestContext, options: EngineOptions): Promise<RunningEngine> {
  const engine = await startEngine(options)
  t.after(() => engine.close())
  return engine
}

/** Probes every 20 ms; resolves with the first report that fits. */
function probing(
  t: TestContext,
  engine: RunningEngine,
  upstreamModel: string,
): (fits: (report: ProbeReport) => boolean) => Promise<ProbeReport> {
  let check: (report: ProbeReport) => void = () => {}
  const prober = new Prober({ random: () => 0.5, onReport: (report) => check(report) })
  t.after(() => prober.close())
  prober.apply([endpointOf(engine, upstreamModel)])
  return (fits) =>
    new Promise((resolve) => {
      check = (report) => {
        if (fits(report)) resolve(report)
      }
    })
}

function endpointOf(engine: RunningEngine, upstreamModel: string): ProbedEndpoint {
  const backend = {
    name: 'local',
    weight: 1,
    priority: 0,
    engine: 'Auto' as const,
    upstreamModel,
    health: { intervalMs: 20, timeoutMs: 2000 },
    signals: { intervalMs: 20 },
    timeouts: {},
    headers: [],
    probed: true,
    simulated: false,
  }
  return { id: 'e', model: 'default/m', backend, endpoint: { id: 'e', origin: engine.url, basePath: '/v1' } }
}

test('a real llama-server is detected, with the context of one slot', async (t) => {
  const engine = await started(t, { model: 'random', alias: 'tiny', slots: 2, contextTokens: 2048 })
  const report = await probing(t, engine, 'tiny')((r) => r.waiting !== undefined)
  assert.deepEqual([report.engine, report.healthy, report.contextWindowTokens, report.modelMissing], ['LlamaCpp', true, 1024, false])
  assert.deepEqual([report.running, report.waiting], [0, 0])
})

test('running and queued requests of a real llama-server are counted, and gone when the clients go', async (t) => {
  const engine = await started(t, { model: 'random', alias: 'tiny', slots: 1 })
  const report = probing(t, engine, 'tiny')
  const clients = new AbortController()
  const body = JSON.stringify({ model: 'tiny', stream: true, messages: [{ role: 'user', content: 'go on' }] })
  const answers = [1, 2, 3].map(() => stream(`${engine.url}/v1/chat/completions`, body, clients.signal))
  const busy = await report((r) => r.waiting === 2)
  assert.equal(busy.running, 1)
  assert.equal(busy.healthy, true)
  clients.abort()
  await Promise.all(answers)
  await report((r) => r.waiting === 0 && r.running === 0)
})

test('a real llama-server that ends is unhealthy', async (t) => {
  const engine = await started(t, { model: 'random', alias: 'tiny' })
  const report = probing(t, engine, 'tiny')
  await report((r) => r.healthy === true)
  await engine.close()
  assert.equal((await report((r) => r.healthy === false)).reason, 'connection refused')
})

/** Reads until the signal ends it. */
async function stream(url: string, body: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, { method: 'POST', body, signal, headers: { 'content-type': 'application/json' } }).catch(
    () => undefined,
  )
  await response?.text().catch(() => undefined)
}
