/** A proxy in an app's pod must not keep the app from starting, whatever it lacks itself. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import type { RunningProxy } from '../support/proxy.ts'
import { makePod, metricOf, type Pod } from '../support/pushed.ts'
import { ROUTES } from '../support/routes.ts'
import { oneModel } from '../support/table.ts'

let pod: Pod
before(async () => {
  pod = await makePod()
})
after(() => pod.close())

const NOBODY = 'wss://127.0.0.1:1'
const startupOf = async (url: string): Promise<number> => (await fetch(`${url}/startupz`)).status

test('without operator, CA or token its startup probe passes after 5 s, and requests have 503 and Retry-After', async (t) => {
  const missing = ['--operator-ca', pod.file('none'), '--operator-token', pod.file('none'), '--client-token', pod.file('none')]
  const startMs = performance.now()
  const proxy = await pod.proxy(t, NOBODY, { args: ['--mode', 'Sidecar', ...missing] })
  assert.equal(await startupOf(proxy.metricsUrl), 503)
  await eventually(async () => assert.equal(await startupOf(proxy.metricsUrl), 200))
  const tookMs = performance.now() - startMs
  assert.ok(tookMs >= 5_000 && tookMs < 10_000, String(tookMs))
  const { status, headers } = await ask(proxy.url, { body: ROUTES.chat.request('m', false) })
  assert.deepEqual([status, headers['retry-after']], [503, '1'])
})

test('with a table it passes at once', async (t) => {
  const operator = await pod.operator(t, { mode: 'Sidecar', namespace: 'team-a' })
  operator.give(oneModel('m', 'http://127.0.0.1:1'))
  const proxy = await pod.proxy(t, operator.url, { args: ['--mode', 'Sidecar'] })
  await eventually(async () => assert.equal(await startupOf(proxy.metricsUrl), 200), 4_000)
})

test('with the last good table from disk it passes at once too, though no operator is there', async (t) => {
  const operator = await pod.operator(t, { mode: 'Sidecar', namespace: 'default' })
  operator.give(oneModel('m', 'http://127.0.0.1:1'))
  const args = ['--mode', 'Sidecar', '--last-known-good', pod.file('good')]
  const first = await pod.proxy(t, operator.url, { args })
  await eventually(async () => assert.ok(((await metricOf(first, 'llama_swap_last_known_good_saved_timestamp_seconds')) ?? 0) > 0))
  first.program.child.kill('SIGKILL')
  await first.program.ended
  const again = await pod.proxy(t, NOBODY, { args })
  await eventually(async () => assert.equal(await startupOf(again.metricsUrl), 200), 4_000)
  assert.match((await ask(again.url, { method: 'GET', path: '/v1/models' })).body, /"m"/)
})

test('asked to quit, at its admin port and where that is allowed, it ends by itself with code 0', async (t) => {
  const operator = await pod.operator(t, { mode: 'Sidecar', namespace: 'team-a' })
  operator.give(oneModel('m', 'http://127.0.0.1:1'))
  const quit = async ({ adminUrl }: RunningProxy): Promise<number> => (await fetch(`${adminUrl}/quit`, { method: 'POST' })).status
  const never = await pod.proxy(t, operator.url, { args: ['--mode', 'Sidecar'] })
  assert.equal(await quit(never), 404)
  const proxy = await pod.proxy(t, operator.url, { args: ['--mode', 'Sidecar', '--quit', 'Asked'] })
  assert.equal((await fetch(`${proxy.adminUrl}/quit`)).status, 404)
  assert.equal(await quit(proxy), 200)
  assert.equal(await proxy.program.ended, 0)
})

test('its metrics port may have another address than that of requests, which only the pod reaches', async (t) => {
  const proxy = await pod.proxy(t, NOBODY, { args: ['--mode', 'Sidecar', '--metrics-host', '127.0.0.2'] })
  const elsewhere = proxy.metricsUrl.replace('127.0.0.1', '127.0.0.2')
  assert.equal((await fetch(`${elsewhere}/healthz`)).status, 200)
  await assert.rejects(fetch(`${proxy.metricsUrl}/healthz`))
  await assert.rejects(fetch(`${proxy.url.replace('127.0.0.1', '127.0.0.2')}/v1/models`))
  proxy.program.child.kill('SIGTERM') // what ends it by itself asks at 127.0.0.1 whether it is at rest
  await proxy.program.ended
})
