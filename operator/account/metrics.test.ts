import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { FakeTimers, settled } from '../queue/fake-timers.fixture.ts'
import { WorkQueue } from '../queue/work-queue.ts'
import { OperatorMetrics, type PublishedTable } from './metrics.ts'

const quiet = () => new OperatorMetrics({ lease: 'llama-swap', isLeader: () => false, proxies: () => undefined, table: () => undefined })

/** The samples of one metric, without its comments. */
async function samples(metrics: OperatorMetrics, name: string): Promise<readonly string[]> {
  const text = await metrics.registry.getSingleMetricAsString(name)
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

test('docs/metrics.md lists every metric of the operator with type, labels and meaning, and no other', async () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'metrics.md'), 'utf8')
  const lines = page.split('\n')
  const start = lines.findIndex((line) => line.startsWith('| Operator metric |')) + 2
  const written = lines.slice(start, lines.indexOf('', start)).map((line) => {
    const [, name, type, labels, , meaning] = line.split('|').map((cell) => cell.trim())
    return { name: name?.replaceAll('`', ''), type, labels: [...(labels ?? '').matchAll(/`([^`]+)`/g)].map(([, label]) => label), meaning }
  })
  const real = quiet()
    .registry.getMetricsAsArray()
    .map((metric) => {
      const labels: unknown = 'labelNames' in metric ? metric.labelNames : undefined
      return { name: metric.name, type: String(metric.type), labels, meaning: metric.help }
    })
  const byName = (a: { name: string | undefined }, b: { name: string | undefined }): number => String(a.name).localeCompare(String(b.name))
  assert.deepEqual(written.toSorted(byName), real.toSorted(byName))
})

test('a queue is told of under the names that dashboards know', async () => {
  const metrics = quiet()
  const timers = new FakeTimers()
  let end = (): void => undefined
  const queue = new WorkQueue({
    name: 'statuses',
    concurrency: 1,
    timers,
    onRecord: (record) => metrics.recordWork('statuses', record),
    work: () =>
      new Promise((resolve) => {
        end = () => resolve(undefined)
      }),
  })
  metrics.addQueue(queue)
  queue.add('a')
  queue.add('b')
  await timers.move(3000)
  assert.deepEqual(await samples(metrics, 'workqueue_depth'), ['workqueue_depth{name="statuses"} 1'])
  assert.deepEqual(await samples(metrics, 'workqueue_longest_running_processor_seconds'), [
    'workqueue_longest_running_processor_seconds{name="statuses"} 3',
  ])
  assert.deepEqual(await samples(metrics, 'controller_runtime_active_workers'), [
    'controller_runtime_active_workers{controller="statuses"} 1',
  ])
  end()
  await settled()
  assert.ok(
    (await samples(metrics, 'controller_runtime_reconcile_total')).includes(
      'controller_runtime_reconcile_total{controller="statuses",result="success"} 1',
    ),
  )
  assert.ok(
    (await samples(metrics, 'workqueue_queue_duration_seconds')).includes('workqueue_queue_duration_seconds_sum{name="statuses"} 3'),
  )
  metrics.removeQueue(queue)
  assert.deepEqual(await samples(metrics, 'workqueue_depth'), [])
})

test('what is not known is absent, and what is known is read when scraped', async () => {
  let table: PublishedTable | undefined
  let leads = false
  const proxies = { Gateway: 2, Sidecar: 20 }
  const metrics = new OperatorMetrics({ lease: 'llama-swap', isLeader: () => leads, proxies: () => proxies, table: () => table })
  assert.deepEqual(await samples(metrics, 'llama_swap_published_epoch'), [])
  assert.deepEqual(await samples(metrics, 'leader_election_master_status'), ['leader_election_master_status{name="llama-swap"} 0'])
  table = { epoch: 7, seq: 3, models: 2, withoutEndpoints: 1, policies: 1 }
  leads = true
  assert.deepEqual(await samples(metrics, 'llama_swap_published_epoch'), ['llama_swap_published_epoch 7'])
  assert.deepEqual(await samples(metrics, 'llama_swap_models_without_endpoints'), ['llama_swap_models_without_endpoints 1'])
  assert.deepEqual(await samples(metrics, 'leader_election_master_status'), ['leader_election_master_status{name="llama-swap"} 1'])
  assert.deepEqual(await samples(metrics, 'llama_swap_proxies_connected'), [
    'llama_swap_proxies_connected{mode="Gateway"} 2',
    'llama_swap_proxies_connected{mode="Sidecar"} 20',
  ])
})

test('the push, the watch and calls are counted; reasons beyond the bound are one', async () => {
  const metrics = quiet()
  metrics.recordRequest({ code: '200', method: 'GET', host: 'h', ms: 3 })
  metrics.pushed({ mode: 'Gateway', bytes: 512 })
  metrics.acked({ mode: 'Gateway', ms: 40 })
  metrics.translated(2)
  metrics.watchRestarted({ resource: 'pods', reason: 'silent' })
  metrics.refused({ code: 'no_token' })
  for (let n = 0; n < 100; n += 1) metrics.nacked({ mode: 'Gateway', reason: `reason ${n}` })
  assert.deepEqual(await samples(metrics, 'rest_client_requests_total'), ['rest_client_requests_total{code="200",method="GET",host="h"} 1'])
  assert.deepEqual(await samples(metrics, 'llama_swap_pushed_bytes_total'), ['llama_swap_pushed_bytes_total{mode="Gateway"} 512'])
  const nacks = await samples(metrics, 'llama_swap_nacks_total')
  assert.equal(nacks.length, 65)
  assert.equal(nacks.at(-1), 'llama_swap_nacks_total{mode="Gateway",reason="_other"} 36')
})
