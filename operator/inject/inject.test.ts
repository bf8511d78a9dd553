import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Fields } from '../validate/problem.ts'
import { fieldsOf, listOf, textMapOf } from '../validate/raw-fields.ts'
import { AMOUNTS } from './amounts.ts'
import { inject, type Verdict } from './inject.ts'
import {
  CONTAINER_NAME,
  CONTAINERS,
  EXCLUDED_NAMESPACES,
  INJECT,
  INJECTED,
  NOT_INJECTED,
  QUITS,
  SIDECAR_LABEL,
  type SidecarSettings,
} from './names.ts'
import { patched, podOf, SETTINGS } from './pod.fixture.ts'
import { PORTS } from './ports.ts'

const CLASSIC: SidecarSettings = { ...SETTINGS, mode: 'Classic' }

interface Seen {
  readonly verdict: Verdict
  readonly pod: Fields
  readonly sidecar: Fields
  readonly initContainers: readonly Fields[]
  readonly containers: readonly Fields[]
  readonly annotations: Readonly<Record<string, string>>
}

function injected(pod: Fields, settings = SETTINGS, namespace = 'apps'): Seen {
  const verdict = inject(pod, namespace, settings, 'v1')
  return { verdict, ...seen(patched(pod, verdict)) }
}

function seen(pod: Fields): Omit<Seen, 'verdict'> {
  const spec = fieldsOf(pod['spec'])
  const [initContainers, containers] = [listOf(spec['initContainers']), listOf(spec['containers'])]
  const sidecar = fieldsOf([...initContainers, ...containers].find(({ name }) => name === CONTAINER_NAME))
  return { pod, sidecar, initContainers, containers, annotations: textMapOf(fieldsOf(pod['metadata'])['annotations']) }
}

const namesOf = (containers: readonly Fields[]): readonly unknown[] => containers.map(({ name }) => name)
const envOf = (container: Fields | undefined): readonly string[] =>
  listOf(container?.['env']).map(({ name, value }) => `${String(name)}=${String(value)}`)
const URL_AND_KEY = ['OPENAI_BASE_URL=http://127.0.0.1:18080/v1', 'OPENAI_API_KEY=llama-swap-sidecar']

test('native: it is the first init container and is started again, so Jobs end and other init containers can use it', () => {
  const pod = podOf({ spec: { initContainers: [{ name: 'migrate' }], restartPolicy: 'Never' } })
  const { sidecar, initContainers, containers, verdict } = injected(pod)
  assert.deepEqual([namesOf(initContainers), namesOf(containers)], [[CONTAINER_NAME, 'migrate'], ['app']])
  assert.equal(sidecar['restartPolicy'], 'Always')
  assert.equal(verdict.result, 'Injected')
  assert.deepEqual(envOf(initContainers[1]), URL_AND_KEY)
})

test('it starts by a startup probe alone, which a proxy without operator passes too; nothing else probes it', () => {
  const { sidecar } = injected(podOf())
  assert.deepEqual(fieldsOf(fieldsOf(sidecar['startupProbe'])['httpGet']), { path: '/startupz', port: 19090 })
  assert.equal(sidecar['readinessProbe'], undefined)
  assert.equal(sidecar['livenessProbe'], undefined)
})

test('nothing that may be missing keeps the Pod from starting: the bundle is optional', () => {
  const { pod } = injected(podOf())
  const [push, table] = listOf(fieldsOf(pod['spec'])['volumes'])
  const sources = listOf(fieldsOf(push?.['projected'])['sources'])
  assert.deepEqual(sources[0], { configMap: { name: 'llama-swap-push-ca', optional: true } })
  assert.deepEqual(
    sources.slice(1).map(({ serviceAccountToken }) => fieldsOf(serviceAccountToken)['audience']),
    ['llama-swap-push', 'llama-swap-client'],
  )
  assert.equal(fieldsOf(table?.['emptyDir'])['medium'], 'Memory')
})

test('it is told to end after the app, so it waits for nothing: no preStop, no drain delay, an end within the grace', () => {
  for (const [grace, expected] of [
    [undefined, '--shutdown-grace=28s'],
    [5, '--shutdown-grace=3s'],
    [0, '--shutdown-grace=1s'],
    [600, '--shutdown-grace=30s'],
  ] as const) {
    const { sidecar } = injected(podOf({ spec: grace === undefined ? {} : { terminationGracePeriodSeconds: grace } }))
    assert.equal(sidecar['lifecycle'], undefined)
    assert.deepEqual([sidecar['args']].flat().slice(-2), ['--drain-delay=0s', expected])
  }
})

test('classic: it is the last container, goes on taking requests while the app ends, and leaves Pods alone that are to end', () => {
  const { containers, initContainers, sidecar, verdict } = injected(podOf({ spec: { initContainers: [{ name: 'migrate' }] } }), CLASSIC)
  assert.deepEqual(namesOf(containers), ['app', CONTAINER_NAME])
  assert.equal(sidecar['restartPolicy'], undefined)
  assert.deepEqual([sidecar['args']].flat().slice(-2), ['--drain-delay=10s', '--shutdown-grace=18s'])
  assert.deepEqual(envOf(initContainers[0]), [])
  assert.equal(verdict.result, 'Injected')
  for (const restartPolicy of ['Never', 'OnFailure'])
    assert.equal(injected(podOf({ spec: { restartPolicy } }), CLASSIC).verdict.result, 'NeedsNative')
})

test('classic: a Pod that is to end has one if its app ends it; native, that is for the kubelet', () => {
  const job = podOf({ annotations: { [QUITS]: 'true' }, spec: { restartPolicy: 'Never' } })
  const { sidecar, verdict } = injected(job, CLASSIC)
  assert.equal(verdict.result, 'Injected')
  assert.ok([sidecar['args']].flat().includes('--quit=Asked'))
  assert.ok(![injected(podOf(), CLASSIC).sidecar['args']].flat().includes('--quit=Asked'))
  assert.ok(![injected(job).sidecar['args']].flat().includes('--quit=Asked'))
})

test('it listens on loopback and needs no right on the network: restricted Pod Security is met', () => {
  const { sidecar } = injected(podOf())
  assert.ok([sidecar['args']].flat().includes('--host=127.0.0.1'))
  assert.deepEqual(sidecar['securityContext'], {
    runAsNonRoot: true,
    runAsUser: 65532,
    runAsGroup: 65532,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  })
})

/** A Pod, and why it stays as it is. */
const LEFT_ALONE: Readonly<Record<string, { readonly pod: Fields; readonly namespace?: string; readonly result: string }>> = {
  'it does not ask': { pod: podOf({ annotations: { [INJECT]: 'false' } }), result: 'NotAsked' },
  "its namespace is the operator's": { pod: podOf(), namespace: 'llama-swap', result: 'NamespaceExcluded' },
  'it has one by hand': { pod: podOf({ labels: { [SIDECAR_LABEL]: 'true' } }), result: 'HasOwn' },
  'a container has the name': { pod: podOf({ containers: [{ name: CONTAINER_NAME }] }), result: 'HasOwn' },
  "its network is the node's": { pod: podOf({ spec: { hostNetwork: true } }), result: 'HostNetwork' },
  'it is static': { pod: podOf({ annotations: { 'kubernetes.io/config.mirror': 'x' } }), result: 'StaticPod' },
  'it is for Windows': { pod: podOf({ spec: { os: { name: 'windows' } } }), result: 'Windows' },
  'it is for nodes with Windows': { pod: podOf({ spec: { nodeSelector: { 'kubernetes.io/os': 'windows' } } }), result: 'Windows' },
  'a volume has the name': { pod: podOf({ spec: { volumes: [{ name: 'llama-swap-table' }] } }), result: 'NameTaken' },
  'a container has the port': {
    pod: podOf({ containers: [{ name: 'app', ports: [{ containerPort: 18080 }] }] }),
    result: 'PortConflict',
  },
  'a native sidecar has the port': {
    pod: podOf({ spec: { initContainers: [{ name: 'mesh', ports: [{ containerPort: 19090, protocol: 'TCP' }] }] } }),
    result: 'PortConflict',
  },
  'a probe asks at the port': {
    pod: podOf({ containers: [{ name: 'app', readinessProbe: { httpGet: { port: 18081 } } }] }),
    result: 'PortConflict',
  },
  "two of the sidecar's ports are one": { pod: podOf({ annotations: { [PORTS.inference.annotation]: '18081' } }), result: 'PortConflict' },
}

for (const namespace of EXCLUDED_NAMESPACES)
  test(`never in ${namespace}`, () => assert.equal(injected(podOf(), SETTINGS, namespace).verdict.result, 'NamespaceExcluded'))

for (const [name, { pod, namespace = 'apps', result }] of Object.entries(LEFT_ALONE)) {
  test(`left alone, and told why: ${name}`, () => {
    const { verdict, annotations, sidecar } = injected(pod, SETTINGS, namespace)
    assert.equal(verdict.result, result)
    assert.equal(annotations[INJECTED], undefined)
    if (result === 'NotAsked' || result === 'HasOwn') return assert.deepEqual([verdict.patch, verdict.warnings], [[], []])
    assert.deepEqual(sidecar, {})
    assert.equal(annotations[NOT_INJECTED], result)
    assert.equal(verdict.warnings.length, 1)
  })
}

test('a port of another kind, or another port by annotation, is no conflict; the variable follows', () => {
  const udp = podOf({ containers: [{ name: 'app', ports: [{ containerPort: 18080, protocol: 'UDP' }] }] })
  assert.equal(injected(udp).verdict.result, 'Injected')
  const moved = podOf({
    annotations: { [PORTS.inference.annotation]: '8089', [PORTS.metrics.annotation]: '9099' },
    containers: [{ name: 'app', ports: [{ containerPort: 18080 }] }],
  })
  const { containers, sidecar, verdict } = injected(moved)
  assert.equal(verdict.result, 'Injected')
  assert.equal(envOf(containers[0])[0], 'OPENAI_BASE_URL=http://127.0.0.1:8089/v1')
  assert.deepEqual(listOf(sidecar['ports']), [{ name: 'llama-metrics', containerPort: 9099 }])
  for (const wrong of ['80', '65536', 'http', '']) {
    const { verdict: told } = injected(podOf({ annotations: { [PORTS.inference.annotation]: wrong } }))
    assert.deepEqual([told.result, told.warnings.length], ['Injected', 1], wrong)
  }
})

interface EnvCase {
  readonly container: Fields
  readonly annotations?: Readonly<Record<string, string>>
  /** What was added. */
  readonly added: readonly string[]
  readonly warns?: true
}

const ENV: Readonly<Record<string, EnvCase>> = {
  'a container without either': { container: {}, added: URL_AND_KEY },
  'one with other variables': { container: { env: [{ name: 'A', value: '$(OPENAI_BASE_URL)' }] }, added: URL_AND_KEY },
  'one with a URL of its own gets no key either': { container: { env: [{ name: 'OPENAI_BASE_URL', value: 'https://x' }] }, added: [] },
  'one with a URL from a Secret': { container: { env: [{ name: 'OPENAI_BASE_URL', valueFrom: {} }] }, added: [] },
  'one that names the sidecar itself gets the key': {
    container: { env: [{ name: 'OPENAI_BASE_URL', value: 'http://127.0.0.1:18080/v1' }] },
    added: URL_AND_KEY.slice(1),
  },
  'one with a key of its own keeps it': { container: { env: [{ name: 'OPENAI_API_KEY', value: 'sk' }] }, added: URL_AND_KEY.slice(0, 1) },
  'one that may have it from elsewhere': { container: { envFrom: [{ secretRef: { name: 's' } }] }, added: [], warns: true },
  'one that has other names from elsewhere': { container: { envFrom: [{ prefix: 'DB_', secretRef: { name: 's' } }] }, added: URL_AND_KEY },
  'one that is named': {
    container: { envFrom: [{ secretRef: { name: 's' } }] },
    annotations: { [CONTAINERS]: 'other, app' },
    added: URL_AND_KEY,
    warns: true,
  },
  'one that is not named': { container: {}, annotations: { [CONTAINERS]: 'other' }, added: [], warns: true },
}

for (const [name, { container, annotations = {}, added, warns }] of Object.entries(ENV)) {
  test(`variables: ${name}`, () => {
    const { containers, verdict } = injected(podOf({ annotations, containers: [{ name: 'app', ...container }] }))
    const before = envOf(container)
    assert.deepEqual(envOf(containers[0]), [...added, ...before])
    assert.equal(verdict.warnings.length > 0, warns === true)
  })
}

test('twice is once, and a container that came between gets its variables', () => {
  for (const settings of [SETTINGS, CLASSIC]) {
    const { pod } = injected(podOf({ spec: { initContainers: [{ name: 'migrate' }] } }), settings)
    const again = inject(pod, 'apps', settings, 'v2')
    assert.deepEqual([again.result, again.patch, again.warnings], ['Unchanged', [], []])
    const spec = fieldsOf(pod['spec'])
    const more = { ...pod, spec: { ...spec, containers: [{ name: 'late' }, ...listOf(spec['containers'])] } }
    const third = injected(more, settings)
    assert.equal(third.verdict.result, 'Completed')
    assert.deepEqual(envOf(third.containers[0]), URL_AND_KEY)
    assert.equal(namesOf([...third.initContainers, ...third.containers]).filter((name) => name === CONTAINER_NAME).length, 1)
    assert.equal(third.annotations[INJECTED], 'v1')
  }
})

test('what was once refused and is asked again loses its reason', () => {
  const { annotations } = injected(podOf({ annotations: { [NOT_INJECTED]: 'PortConflict' } }))
  assert.deepEqual([annotations[NOT_INJECTED], annotations[INJECTED]], [undefined, 'v1'])
})

test("annotations of Prometheus stay the app's", () => {
  const prometheus = { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '8080', 'prometheus.io/path': '/m' }
  const { annotations } = injected(podOf({ annotations: prometheus }))
  assert.deepEqual(annotations, { ...prometheus, [INJECT]: 'true', [INJECTED]: 'v1' })
  assert.deepEqual(Object.keys(injected(podOf()).annotations), [INJECT, INJECTED])
})

test('a Pod without labels, annotations or anything is patched all the same', () => {
  const verdict = inject(
    { metadata: { annotations: { [INJECT]: 'true' } }, spec: { containers: [{ name: 'app' }] } },
    'apps',
    SETTINGS,
    'v1',
  )
  assert.equal(verdict.result, 'Injected')
  for (const bare of [{}, { metadata: null, spec: null }, { spec: { containers: 7 } }])
    assert.equal(inject(bare, 'apps', SETTINGS, 'v1').result, 'NotAsked')
})

const RESOURCES = { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '1', memory: '1Gi' } }
const amount = (name: keyof typeof AMOUNTS, value: string): Record<string, string> => ({ [AMOUNTS[name].annotation]: value })

interface AmountCase {
  readonly annotations?: Readonly<Record<string, string>>
  readonly container?: Fields
  readonly spec?: Fields
  readonly resources: Fields | undefined
  readonly warns?: true
}

const AMOUNT_CASES: Readonly<Record<string, AmountCase>> = {
  'none said': { resources: { requests: { cpu: '50m', memory: '96Mi' }, limits: { memory: '256Mi' } } },
  'all said': {
    annotations: {
      ...amount('cpuRequest', '0.2'),
      ...amount('cpuLimit', '1500m'),
      ...amount('memoryRequest', '128Mi'),
      ...amount('memoryLimit', '1Gi'),
    },
    resources: { requests: { cpu: '0.2', memory: '128Mi' }, limits: { cpu: '1500m', memory: '1Gi' } },
  },
  'too much': {
    annotations: { ...amount('cpuRequest', '64'), ...amount('memoryLimit', '1000Gi') },
    resources: { requests: { cpu: '2', memory: '96Mi' }, limits: { memory: '2Gi' } },
    warns: true,
  },
  'too little': {
    annotations: { ...amount('cpuRequest', '1m'), ...amount('memoryRequest', '1Mi') },
    resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '256Mi' } },
    warns: true,
  },
  'no quantity': {
    annotations: { ...amount('cpuRequest', 'much'), ...amount('memoryLimit', '-1Gi') },
    resources: { requests: { cpu: '50m', memory: '96Mi' }, limits: { memory: '256Mi' } },
    warns: true,
  },
  'a limit below the request, which the API server would refuse': {
    annotations: { ...amount('memoryRequest', '512Mi') },
    resources: { requests: { cpu: '50m', memory: '512Mi' }, limits: { memory: '512Mi' } },
    warns: true,
  },
  'among containers with limits of CPU, which a quota may ask for': {
    container: { resources: { limits: { cpu: '1' } } },
    resources: { requests: { cpu: '50m', memory: '96Mi' }, limits: { cpu: '1', memory: '256Mi' } },
  },
  'in a Pod that says them as a whole: its part of them, as the API server refuses what is more than is left': {
    annotations: amount('memoryLimit', '1Gi'),
    spec: { resources: { limits: { memory: '128Mi' } } },
    resources: undefined,
  },
  'in a Guaranteed Pod, which stays one': {
    container: { resources: RESOURCES },
    resources: { requests: { cpu: '250m', memory: '256Mi' }, limits: { cpu: '250m', memory: '256Mi' } },
  },
}

for (const [name, { annotations = {}, container = {}, spec = {}, resources, warns }] of Object.entries(AMOUNT_CASES)) {
  test(`resources: ${name}`, () => {
    const { sidecar, verdict } = injected(podOf({ annotations, spec, containers: [{ name: 'app', ...container }] }))
    assert.deepEqual(sidecar['resources'], resources)
    assert.equal(verdict.warnings.length > 0, warns === true)
  })
}
