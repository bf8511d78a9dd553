/**
 * docs/tutorials/monitoring.md with a real Prometheus in the cluster's network. What it scrapes is derived from the monitors as the API server
 * has them, as the Prometheus operator would; that operator itself is not here. Nor is Grafana: dashboards' queries are asked one by one.
 */
import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { load } from 'js-yaml'
import { type Fields, isFields } from '../../operator/validate/problem.ts'
import { CHART_CRDS } from '../../scripts/fetch-chart-crds.ts'
import { PROMTOOL } from '../../scripts/fetch-tools.ts'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import { eventually } from '../support/eventually.ts'
import { appObjects } from './support/app.ts'
import { clusterHere, kubectl, serviceUrl } from './support/cluster.ts'
import { podTargets, sliceTargets, type TargetGroup } from './support/discovery.ts'
import { scaleEngine, startEngine } from './support/engine.ts'
import { ASKS, injectingNamespace } from './support/injecting-namespace.ts'
import { type Installation, install } from './support/install.ts'
import { type Load, startLoad } from './support/load.ts'
import { Prometheus } from './support/prometheus.ts'
import { scrapeJobs } from './support/scrape-config.ts'
import { openTutorial, type Tutorial } from './support/tutorial.ts'

const NAMESPACE = 'llama-swap'
const APPS = 'apps'
/** Instead of half a minute, so that rates have samples within seconds. */
const INTERVAL = '1s'
/** Until Prometheus has found and scraped all, on a busy machine. */
const WITHIN_MS = 40_000

const cluster = clusterHere()
let installation: Installation
let tutorial: Tutorial
let prometheus: Prometheus
let traffic: Load
let jobs: ReturnType<typeof scrapeJobs>

before(async () => {
  for (const plural of ['servicemonitors', 'podmonitors', 'prometheusrules'])
    await kubectl(cluster, ['apply', '--server-side', '-f', join(CHART_CRDS, `monitoring.coreos.com_${plural}.yaml`)])
  const often = { interval: INTERVAL }
  installation = await install(cluster, {
    values: { sidecars: { enabled: true }, monitoring: { serviceMonitors: often, podMonitor: often } },
  })
  await Promise.all([startEngine(cluster, { name: 'smollm2', namespace: NAMESPACE }), cluster.apply(ROUTES), startApp()])
  await kubectl(cluster, ['-n', NAMESPACE, 'wait', '--for=condition=Ready', '--timeout=60s', 'lmod/smollm2', 'rpol/auto'])
})
after(async () => {
  await traffic?.stop()
  await prometheus?.close()
  await tutorial?.finish()
})

const ROUTES = `
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: smollm2, namespace: ${NAMESPACE}}
spec: {access: {from: All}, backends: [{name: local, service: {name: smollm2, port: {name: http}}}]}
---
apiVersion: llamaswap.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: auto, namespace: ${NAMESPACE}}
spec: {access: {from: All}, virtualModels: [auto], targets: [{model: smollm2}], fallback: {enabled: true}}
`

/** Two Pods with a sidecar, which ask through it now and then. */
async function startApp(): Promise<void> {
  const script = `
    import OpenAI from 'openai'
    import { setTimeout as pause } from 'node:timers/promises'
    const client = new OpenAI({ maxRetries: 20 })
    for (;;) {
      const stream = await client.chat.completions.create({ model: 'auto', stream: true, max_tokens: 8, messages: [{ role: 'user', content: 'Hello' }] })
      for await (const chunk of stream) void chunk
      await pause(1000)
    }`
  await injectingNamespace(cluster, APPS)
  const { configMap, template } = appObjects({ name: 'shop', namespace: APPS, script, annotations: ASKS })
  const pod = { ...template, spec: { ...fieldsOf(valueAt(template, 'spec')), restartPolicy: 'Always' } }
  const spec = { replicas: 2, selector: { matchLabels: { app: 'shop' } }, template: pod }
  await cluster.apply([configMap, { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'shop', namespace: APPS }, spec }])
  await kubectl(cluster, ['-n', APPS, 'rollout', 'status', '--timeout=60s', 'deployment/shop'], { timeoutMs: 70_000 })
}

test('an upgrade makes monitors, rules and dashboards', async () => {
  prometheus = await Prometheus.start(cluster.folder)
  tutorial = openTutorial(cluster, 'monitoring', {
    substitutions: [
      ['kubectl -n monitoring port-forward service/prometheus-operated 9090 >port-forward.log &\n', ''],
      ['localhost:9090/-/ready', `${prometheus.url}/-/ready`],
      ['promtool query instant http://localhost:9090', `${PROMTOOL} query instant ${prometheus.url}`],
    ],
  })
  await tutorial.run('Turn it on')
  await installation.ready()
})

test('every gateway, operator and sidecar is scraped, once, and nothing else', async () => {
  jobs = scrapeJobs([...(await objectsOf('ServiceMonitor')), ...(await objectsOf('PodMonitor'))], FILES)
  await prometheus.work({ jobs, rules: await rules() })
  assert.equal((await podsOfOurs()).length, 2 + 2 + 2)
  await scrapesAll()
  await tutorial.run('See that it works')
})

test('the rules load, and each can be evaluated', async () => {
  await eventually(async () => {
    const loaded = listAt(await prometheus.ask('/api/v1/rules'), 'groups').flatMap((group) => listAt(group, 'rules'))
    assert.deepEqual(
      loaded.filter((rule) => valueAt(rule, 'health') !== 'ok' || valueAt(rule, 'lastError') !== undefined),
      [],
    )
    const written = (await rules()).flatMap((one) => listAt(one, 'groups')).flatMap((group) => listAt(group, 'rules'))
    assert.deepEqual(loaded.map((rule) => textAt(rule, 'name')).sort(), written.map((rule) => textAt(rule, 'alert')).sort())
    assert.ok(loaded.length > 20)
  }, WITHIN_MS)
})

test('every metric of the dashboards is there, and every panel has data but those of what has not happened', async () => {
  const url = await serviceUrl(cluster, NAMESPACE, 'llama-swap')
  traffic = startLoad({ url, key: installation.key, model: 'auto', perSecond: 1, streamsPerSecond: 1 })
  const panels = (await dashboards()).flatMap((dashboard) => listAt(dashboard, 'panels'))
  const queries = panels.flatMap((panel) =>
    listAt(panel, 'targets').map((target) => ({ title: textAt(panel, 'title'), query: filledIn(textAt(target, 'expr')) })),
  )
  assert.ok(queries.length > 40)
  await eventually(async () => {
    const there = await metrics()
    assert.deepEqual(
      [...new Set(queries.flatMap(({ query }) => metricsIn(query)))].filter((name) => !isMetric(name, there)),
      [],
    )
    const answers = await Promise.all(queries.map(async ({ title, query }) => ({ title, samples: await prometheus.query(query) })))
    const silent = answers.filter(({ samples }) => samples.length === 0).map(({ title }) => title)
    assert.deepEqual(
      silent.filter((title) => !NOT_HAPPENED.has(title)),
      [],
    )
  }, WITHIN_MS)
})

/** Panels of trouble, limits and queues; and one of what this engine does not tell. */
const NOT_HAPPENED: ReadonlySet<string> = new Set([
  'Refused',
  'Reconnects',
  'Watches begun again',
  'Outcomes',
  'Attempts that fail',
  'KV cache used',
  'Continued streams',
  'Malformed events',
  'Panic attempts',
  'Waiting',
  'Wait in queues, p95',
  'Refused by limits',
  'Upstream quotas used',
])

test('an alert fires when its cause is there', async () => {
  await tutorial.run('Alerts')
  await prometheus.work({ jobs, rules: await rules() })
  assert.deepEqual(await firing(), [])
  await tutorial.run('Make one fire')
  await eventually(
    async () =>
      assert.deepEqual(
        (await firing()).map((alert) => valueAt(alert, 'labels', 'alertname')),
        ['LlamaSwapNoGateways'],
      ),
    WITHIN_MS,
  )
  const [alert] = await firing()
  assert.deepEqual(valueAt(alert, 'labels'), {
    alertname: 'LlamaSwapNoGateways',
    namespace: NAMESPACE,
    severity: 'critical',
    team: 'platform',
  })
  assert.match(textAt(alert, 'annotations', 'runbook_url'), /runbooks\.md#llamaswapnogateways$/)
})

test('… and no longer when it is gone', async () => {
  await tutorial.run('Put it back')
  await eventually(async () => assert.deepEqual(await firing(), []), WITHIN_MS)
})

test('without the Prometheus operator the page of the tutorial finds the same targets', async () => {
  const { scrape_configs: written } = fieldsOf(load(tutorial.file('prometheus.yaml')))
  await prometheus.work({ jobs: listOf(written).map(withFiles) })
  await scrapesAll()
})

test('a model whose last Pod goes is counted', async () => {
  const withoutEndpoints = async (): Promise<readonly number[]> =>
    (await prometheus.query('max(llama_swap_models_without_endpoints)')).map(({ value }) => value)
  assert.deepEqual(await withoutEndpoints(), [0])
  await scaleEngine(cluster, { name: 'smollm2', namespace: NAMESPACE }, 0)
  await eventually(async () => assert.deepEqual(await withoutEndpoints(), [1]), WITHIN_MS)
})

/** In place of discovery by Prometheus itself. */
function withFiles(job: unknown): unknown {
  const { kubernetes_sd_configs: configs, ...rest } = fieldsOf(job)
  assert.deepEqual(configs, [{ role: 'pod' }])
  return { ...rest, scrape_interval: INTERVAL, scrape_timeout: INTERVAL, file_sd_configs: [{ files: [FILES.pod] }] }
}

/** Every Pod of ours is a target that is up, once, and there is no other. */
const scrapesAll = (): Promise<void> =>
  eventually(async () => {
    await discover()
    assert.deepEqual(await targets(), await podsOfOurs())
  }, WITHIN_MS)

/** As the API server has them. */
async function objectsOf(kind: string): Promise<readonly unknown[]> {
  const list = await cluster.ask('GET', `/apis/monitoring.coreos.com/v1/${kind.toLowerCase()}s`)
  return listAt(list, 'items').map((item) => ({ ...fieldsOf(item), kind }))
}

const rules = async (): Promise<readonly unknown[]> =>
  (await objectsOf('PrometheusRule')).map((rule) => ({ groups: listAt(rule, 'spec', 'groups') }))

async function dashboards(): Promise<readonly unknown[]> {
  const maps = await cluster.ask('GET', `/api/v1/namespaces/${NAMESPACE}/configmaps?labelSelector=grafana_dashboard%3D1`)
  const texts = listAt(maps, 'items').flatMap((map) => Object.values(fieldsOf(valueAt(map, 'data'))))
  return texts.map((text): unknown => JSON.parse(String(text)))
}

const FILES = { pod: join(cluster.folder, 'pods.json'), endpointslice: join(cluster.folder, 'slices.json') } as const

/** Asks the API server for what Prometheus would watch. */
async function discover(): Promise<void> {
  const [pods, services, slices] = await Promise.all(
    ['/api/v1/pods', '/api/v1/services', '/apis/discovery.k8s.io/v1/endpointslices'].map(async (path) =>
      listAt(await cluster.ask('GET', path), 'items'),
    ),
  )
  replace(FILES.pod, podTargets(pods ?? []))
  replace(FILES.endpointslice, sliceTargets(slices ?? [], services ?? [], pods ?? []))
}

/** At once: Prometheus reads a file when it changes. */
function replace(path: string, groups: readonly TargetGroup[]): void {
  writeFileSync(`${path}.new`, JSON.stringify(groups))
  renameSync(`${path}.new`, path)
}

const OURS = ['app.kubernetes.io/component in (gateway, operator)', 'llamaswap.dev/sidecar=true']

/** "NAMESPACE/POD up" of each that runs and is to be scraped. */
async function podsOfOurs(): Promise<readonly string[]> {
  const lists = await Promise.all(OURS.map((labels) => cluster.ask('GET', `/api/v1/pods?labelSelector=${encodeURIComponent(labels)}`)))
  const pods = lists.flatMap((list) => listAt(list, 'items')).filter((pod) => valueAt(pod, 'metadata', 'deletionTimestamp') === undefined)
  return pods.map((pod) => `${textAt(pod, 'metadata', 'namespace')}/${textAt(pod, 'metadata', 'name')} up`).sort()
}

async function targets(): Promise<readonly string[]> {
  const active = listAt(await prometheus.ask('/api/v1/targets?state=active'), 'activeTargets')
  return active
    .map(
      (target) =>
        `${String(valueAt(target, 'labels', 'namespace'))}/${String(valueAt(target, 'labels', 'pod'))} ${textAt(target, 'health')}`,
    )
    .sort()
}

const firing = async (): Promise<readonly unknown[]> =>
  listAt(await prometheus.ask('/api/v1/alerts'), 'alerts').filter((alert) => valueAt(alert, 'state') === 'firing')

/** Families that targets describe, whether or not they have a series yet. */
async function metrics(): Promise<ReadonlySet<string>> {
  return new Set(Object.keys(fieldsOf(await prometheus.ask('/api/v1/metadata'))))
}

const metricsIn = (query: string): readonly string[] =>
  [
    ...query.matchAll(
      /\b(?:llama_swap|gen_ai_(?:server|client)|process|nodejs|leader_election|rest_client|workqueue|controller_runtime)_\w+/g,
    ),
  ].map(([name]) => name)

const isMetric = (name: string, there: ReadonlySet<string>): boolean =>
  there.has(name) || there.has(name.replace(/_(bucket|sum|count)$/, ''))

const filledIn = (query: string): string => query.replaceAll(/\$\w+/g, '.*')

const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
