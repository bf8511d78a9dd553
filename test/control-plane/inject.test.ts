/**
 * Injection of sidecars on a real API server, with the configuration and the rights that the operator prints: the API server dials the
 * webhook's Service, trusts it by the bundle that the operator writes, and validates what it makes of Pods.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { loadAll } from 'js-yaml'
import { publishCaBundle } from '../../operator/admission/ca-bundle.ts'
import { AdmissionServer, type AdmissionServerOptions } from '../../operator/admission/server.ts'
import { inject } from '../../operator/inject/inject.ts'
import { webhookManifests } from '../../operator/inject/manifests.ts'
import { CA_LIFE_MS } from '../../operator/push/certificate-authority.ts'
import { OVERLAP_MS, PUSH_CA_NAME, PushCertificates } from '../../operator/push/certificates.ts'
import { isFields } from '../../operator/validate/problem.ts'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts'
import { freePorts } from '../support/control-plane/free-ports.ts'
import { podAddress, requirePrivateNetwork } from '../support/control-plane/network.ts'
import { type ServiceForwarder, startServiceForwarder } from '../support/control-plane/service-forwarder.ts'
import { eventually } from '../support/eventually.ts'
import { type Installation, install, printed, type RunningOperator } from '../support/installation.ts'
import { ROOT, startProgram } from '../support/program.ts'
import { clientOf } from './push-ground.ts'

requirePrivateNetwork()
let cluster: ControlPlane
let services: ServiceForwarder
before(async () => {
  cluster = await startControlPlane()
  services = startServiceForwarder(cluster)
})
after(async () => {
  await services.close()
  await cluster.stop()
})

const ASKS = { 'llamaswap.dev/inject': 'true' }
const IMAGE = ['--sidecar-image', 'registry.example/llama-swap:1']
const RESTRICTED = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } }

/** One that meets the restricted Pod Security Standard. */
const podOf = (name: string, more: { readonly annotations?: unknown; readonly spec?: object; readonly container?: object } = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, annotations: more.annotations ?? ASKS },
  spec: {
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{ name: 'app', image: 'registry.example/app:1', securityContext: RESTRICTED, ...more.container }],
    ...more.spec,
  },
})

const podsPath = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`
const make = (namespace: string, pod: object): Promise<unknown> => cluster.ask('POST', podsPath(namespace), pod)
/** What would come of it. */
const tried = (namespace: string, pod: object): Promise<unknown> => cluster.ask('POST', `${podsPath(namespace)}?dryRun=All`, pod)

const sidecarsOf = (pod: unknown): readonly unknown[] =>
  [...listAt(pod, 'spec', 'initContainers'), ...listAt(pod, 'spec', 'containers')].filter(
    (container) => valueAt(container, 'name') === 'llama-swap',
  )
const variableOf = (container: unknown, name: string): unknown =>
  listAt(container, 'env')
    .filter((variable) => valueAt(variable, 'name') === name)
    .map((variable) => valueAt(variable, 'value'))[0]

/** From now on Pods that ask have it. */
const injects = (namespace: string): Promise<void> =>
  eventually(async () => assert.equal(sidecarsOf(await tried(namespace, podOf('probe'))).length, 1), 30_000)

interface Webhook {
  readonly installed: Installation
  readonly ip: string
  operator(t: TestContext, name?: string): Promise<RunningOperator>
}

/** Rights, Service and configuration as they are printed, and a Pod of the operator behind the Service. */
async function webhook(t: TestContext, namespaces?: readonly string[]): Promise<Webhook> {
  const ip = podAddress()
  const [pushPort = 0] = await freePorts(1)
  const args = [...IMAGE, `--sidecar-operator=wss://${ip}:${pushPort}`]
  const installed = await install(cluster, { args, ...(namespaces !== undefined && { namespaces }) })
  const { namespace } = installed
  const scope = namespaces === undefined ? [] : ['--namespaces', namespaces.join(',')]
  const manifests = loadAll(printed(['--print-webhook', '--namespace', namespace, ...scope, ...args])).filter(isFields)
  await cluster.apply(manifests)
  t.after(async () => {
    for (const manifest of manifests) await cluster.ask('DELETE', await cluster.pathOf(manifest))
  })
  await cluster.makePod({ namespace, name: 'operator', labels: { app: 'llama-swap-operator' }, ips: [ip] })
  return {
    installed,
    ip,
    operator: (t, name = 'operator-0') => installed.operator(t, { name, pushPort, args: [`--host=${ip}`, `--push-names=${ip}`] }),
  }
}

const metricsOf = async ({ metricsUrl }: RunningOperator, ip: string): Promise<string> =>
  (await fetch(`${metricsUrl.replace('127.0.0.1', ip)}/metrics`)).text()

/** Of what it wrote about rights that it lacks, and about what did not work. */
const complaintsOf = ({ program }: RunningOperator): readonly unknown[] =>
  program.lines().flatMap(({ msg }) => (/may not|could not/.test(String(msg)) ? [msg] : []))

test('a namespace and a Pod that ask', async (t) => {
  const { operator, ip, installed } = await webhook(t)
  const apps = await cluster.namespace({ ...ASKS, 'pod-security.kubernetes.io/enforce': 'restricted' })
  let running = await operator(t)
  await injects(apps)

  await t.test('the Pod has a native sidecar, within the restricted Pod Security Standard, and its variables', async () => {
    const pod = await make(apps, podOf('one', { container: { env: [{ name: 'A', value: 'b' }] } }))
    const [sidecar] = sidecarsOf(pod)
    assert.equal(valueAt(sidecar, 'restartPolicy'), 'Always')
    const app = valueAt(pod, 'spec', 'containers', 0)
    assert.equal(variableOf(app, 'OPENAI_BASE_URL'), 'http://127.0.0.1:18080/v1')
    assert.equal(variableOf(app, 'OPENAI_API_KEY'), 'llama-swap-sidecar')
    assert.equal(variableOf(app, 'A'), 'b')
    assert.equal(valueAt(pod, 'metadata', 'labels', 'llamaswap.dev/sidecar'), 'true')
  })

  await t.test('others are as they were: one that does not ask, one of a namespace without the label', async () => {
    assert.deepEqual(sidecarsOf(await tried(apps, podOf('quiet', { annotations: {} }))), [])
    const other = await cluster.namespace()
    assert.deepEqual(sidecarsOf(await tried(other, podOf('other'))), [])
  })

  await t.test('one that cannot have it is made all the same, with the reason as annotation', async () => {
    const conflict = podOf('conflict', { container: { ports: [{ containerPort: 18080 }] } })
    const pod = await tried(apps, conflict)
    assert.equal(valueAt(pod, 'metadata', 'annotations', 'llamaswap.dev/not-injected'), 'PortConflict')
    assert.deepEqual(sidecarsOf(pod), [])
  })

  await t.test('a wrong amount costs nobody a Pod', async () => {
    const annotations = { ...ASKS, 'llamaswap.dev/sidecar-memory-request': '900Gi', 'llamaswap.dev/sidecar-cpu-request': 'much' }
    const [sidecar] = sidecarsOf(await tried(apps, podOf('amounts', { annotations })))
    assert.deepEqual(valueAt(sidecar, 'resources'), { requests: { cpu: '50m', memory: '2Gi' }, limits: { memory: '2Gi' } })
  })

  await t.test('nor do resources of the Pod as a whole, a quota on limits, or a range with defaults', async () => {
    const whole = podOf('whole', { spec: { resources: { limits: { cpu: '500m', memory: '64Mi' } } } })
    assert.equal(valueAt(sidecarsOf(await tried(apps, whole))[0], 'resources', 'limits'), undefined)
    const strict = await cluster.namespace(ASKS)
    const range = { limits: [{ type: 'Container', default: { cpu: '500m', memory: '512Mi' } }] }
    await cluster.apply([
      { apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'r', namespace: strict }, spec: range },
      {
        apiVersion: 'v1',
        kind: 'ResourceQuota',
        metadata: { name: 'q', namespace: strict },
        spec: { hard: { 'limits.cpu': '4', 'limits.memory': '4Gi' } },
      },
    ])
    const resources = { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '100m' } }
    const sidecar = (pod: unknown): unknown => valueAt(sidecarsOf(pod)[0], 'resources', 'limits')
    await injects(strict)
    assert.deepEqual(sidecar(await tried(strict, podOf('limited', { container: { resources } }))), {
      cpu: '1',
      memory: '256Mi',
    })
    assert.deepEqual(sidecar(await tried(strict, podOf('by-default'))), { cpu: '250m', memory: '256Mi' })
  })

  await t.test("an autoscaler of the app's container alone, as docs/sidecars.md has it, is one that the API server takes", async () => {
    const page = readFileSync(join(ROOT, 'docs', 'sidecars.md'), 'utf8')
    const written = /```yaml\n(apiVersion: autoscaling[^`]+)```/.exec(page)?.[1]?.replace('namespace: apps', `namespace: ${apps}`)
    const { code, stderr } = await cluster.kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], { stdin: written ?? '' })
    assert.equal(code, 0, stderr)
  })

  await t.test('a Pod of a Job has it too, and its Job ends with the app', async () => {
    const { spec } = podOf('x', { spec: { restartPolicy: 'Never' } })
    await cluster.apply({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'batch', namespace: apps },
      spec: { template: { metadata: { annotations: ASKS }, spec } },
    })
    const name = await eventually(async () => {
      const [pod] = listAt(await cluster.ask('GET', `${podsPath(apps)}?labelSelector=job-name=batch`), 'items')
      assert.equal(valueAt(sidecarsOf(pod)[0], 'restartPolicy'), 'Always')
      return textAt(pod, 'metadata', 'name')
    })
    // What a kubelet says once all containers but native sidecars have ended.
    await cluster.setPod(apps, name, { phase: 'Succeeded' })
    await eventually(async () => {
      const job = await cluster.ask('GET', `/apis/batch/v1/namespaces/${apps}/jobs/batch`)
      assert.ok(listAt(job, 'status', 'conditions').some((one) => valueAt(one, 'type') === 'Complete' && valueAt(one, 'status') === 'True'))
    })
  })

  await t.test('a webhook that adds a container after ours: one sidecar, and variables for that container too', async (t) => {
    await otherWebhook(t, apps)
    await eventually(async () => {
      const pod = await tried(apps, podOf('meshed'))
      const late = listAt(pod, 'spec', 'containers').find((container) => valueAt(container, 'name') === 'late')
      assert.equal(variableOf(late, 'OPENAI_BASE_URL'), 'http://127.0.0.1:18080/v1')
      assert.equal(sidecarsOf(pod).length, 1)
    })
  })

  await t.test("what was injected runs: with the bundle and the Pod's tokens it is served by the operator", async (t) => {
    await runsAsInjected(t, apps, await make(apps, podOf('runs')))
  })

  await t.test('no operator answers: Pods are made without; the audit finds them when one is back', async () => {
    assert.deepEqual(complaintsOf(running), [])
    await running.close()
    const startMs = performance.now()
    assert.deepEqual(sidecarsOf(await make(apps, podOf('missed'))), [])
    assert.ok(performance.now() - startMs < 5_000)
    running = await operator(t, 'operator-1')
    await injects(apps)
    await eventually(async () => {
      assert.match(await metricsOf(running, ip), /llama_swap_sidecars_missing\{reason="NotReached"\} 1\n/)
      const events = listAt(await cluster.ask('GET', `/apis/events.k8s.io/v1/namespaces/${apps}/events`), 'items')
      const told = events
        .filter((event) => valueAt(event, 'reason') === 'SidecarMissing')
        .map((event) => textAt(event, 'regarding', 'name'))
      assert.deepEqual(told, ['missed'])
    }, 60_000)
  })

  await t.test('an operator that hangs costs a Pod three seconds', async (t) => {
    await injects(apps)
    running.program.child.kill('SIGSTOP')
    t.after(() => running.program.child.kill('SIGCONT'))
    const startMs = performance.now()
    assert.deepEqual(sidecarsOf(await tried(apps, podOf('hangs'))), [])
    const tookMs = performance.now() - startMs
    assert.ok(tookMs > 2_500 && tookMs < 6_000, String(tookMs))
  })

  await t.test('its CA is lost: the next one is trusted by the API server too', async (t) => {
    assert.deepEqual(complaintsOf(running), [])
    await running.close()
    await cluster.ask('DELETE', `/api/v1/namespaces/${installed.namespace}/secrets/${PUSH_CA_NAME}`)
    running = await operator(t, 'operator-2')
    await injects(apps)
  })
})

test('a replica that begins to lead tells the API server at once whom to trust', async (t) => {
  const { operator, installed } = await webhook(t)
  const apps = await cluster.namespace(ASKS)
  const first = await operator(t)
  await injects(apps)
  const ip = podAddress()
  const [pushPort = 0] = await freePorts(1)
  const second = await installed.operator(t, { name: 'operator-1', pushPort, args: [`--host=${ip}`, `--push-names=${ip}`] })
  await eventually(async () => assert.equal((await fetch(`${second.metricsUrl.replace('127.0.0.1', ip)}/readyz`)).status, 200))
  await cluster.makePod({ namespace: installed.namespace, name: 'second', labels: { app: 'llama-swap-operator' }, ips: [ip] })
  await cluster.removePod(installed.namespace, 'operator')
  const path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/llama-swap-sidecars-${installed.namespace}`
  await cluster.ask('PATCH', path, [{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }], 'application/json-patch+json')
  await first.close()
  await injects(apps)
})

test('an installation of some namespaces: theirs alone, with the rights that are printed', async (t) => {
  const [mine, other] = [await cluster.namespace(ASKS), await cluster.namespace(ASKS)]
  const { operator, installed } = await webhook(t, [mine])
  const running = await operator(t)
  await injects(mine)
  assert.deepEqual(sidecarsOf(await tried(other, podOf('other'))), [])
  assert.deepEqual(complaintsOf(running), [])

  await t.test('a right that is missing is named, with the object it is for', async (t) => {
    await running.close()
    await cluster.ask('DELETE', `/apis/rbac.authorization.k8s.io/v1/clusterroles/llama-swap-operator-${installed.namespace}-sidecars`)
    const next = await operator(t, 'operator-1')
    const says = new RegExp(
      `may not get, patch mutatingwebhookconfigurations .*resourceNames \\["llama-swap-sidecars-${installed.namespace}"\\]`,
    )
    await eventually(async () => assert.ok(complaintsOf(next).some((line) => says.test(String(line)))))
  })
})

test('a rotation of the CA, step by step: at none of them a Pod is missed', async (t) => {
  const apps = await cluster.namespace(ASKS)
  const settings = { image: 'registry.example/llama-swap:1', mode: 'Native', operatorUrl: 'wss://x:1', namespace: 'nowhere' } as const
  const bundles = new Set<string>()
  const clock = { nowMs: 0 }
  const certificates = await bareWebhook(t, {
    configuration: 'rotated',
    namespace: apps,
    judge: (pod, namespace) => inject(pod, namespace, settings, 'v1'),
    onBundle: (bundle) => void bundles.add(bundle),
    clock: () => clock.nowMs,
  })
  // The API server has a clock of its own, so the past is made: an authority two thirds through, its next one a day old, then now.
  const now = Date.now()
  const nextAtMs = now - OVERLAP_MS - 3_600_000
  for (const atMs of [nextAtMs - (CA_LIFE_MS * 2) / 3, nextAtMs, now]) {
    clock.nowMs = atMs
    await certificates.look(true, AbortSignal.timeout(10_000))
    if (atMs === nextAtMs) await injects(apps)
    if (atMs === now) for (let n = 0; n < 20; n += 1) assert.equal(sidecarsOf(await tried(apps, podOf(`p${n}`))).length, 1)
  }
  assert.equal(bundles.size, 2)
})

/** Like a mesh: it adds a container to every Pod of the namespace that lacks it. By its name it is asked after ours. */
async function otherWebhook(t: TestContext, namespace: string): Promise<void> {
  const late = { name: 'late', image: 'registry.example/late:1', securityContext: RESTRICTED }
  const certificates = await bareWebhook(t, {
    configuration: 'zz-other',
    namespace,
    judge: (pod) => {
      const has = listAt(pod, 'spec', 'containers').some((container) => valueAt(container, 'name') === 'late')
      return { result: 'Injected', warnings: [], patch: has ? [] : [{ op: 'add', path: '/spec/containers/0', value: late }] }
    },
  })
  await certificates.look(true, AbortSignal.timeout(10_000))
}

interface BareWebhook {
  readonly configuration: string
  /** Whose Pods it judges. */
  readonly namespace: string
  readonly judge: AdmissionServerOptions['judge']
  /** Told of each bundle before the API server is. */
  readonly onBundle?: (bundle: string) => void
  readonly clock?: () => number
}

/** A webhook of its own that listens and is configured; what it needs to be trusted comes with the first look. */
async function bareWebhook(t: TestContext, { configuration, namespace, judge, onBundle, clock }: BareWebhook): Promise<PushCertificates> {
  const ip = podAddress()
  const server = new AdmissionServer({ judge, onRecord: () => undefined, onBug: (error) => assert.fail(String(error)) })
  t.after(() => server.close())
  const port = await server.listen(0, ip)
  await configure(t, configuration, namespace, `https://${ip}:${port}/inject`)
  const client = clientOf(cluster)
  t.after(() => client.close())
  return new PushCertificates({
    client,
    namespace: await cluster.namespace(),
    bundleNamespaces: () => [],
    names: [ip],
    onCertificate: (certificate) => server.setCertificate(certificate),
    onProblem: ({ error }) => assert.fail(String(error)),
    publishAlso: async (bundle, signal) => {
      onBundle?.(bundle)
      await publishCaBundle(client, configuration, bundle, signal)
    },
    ...(clock !== undefined && { clock }),
  })
}

/** The configuration that is printed, for one namespace and a URL. */
async function configure(t: TestContext, configuration: string, namespace: string, url: string): Promise<void> {
  const manifests = webhookManifests({ namespace: 'nowhere', namespaces: [namespace], configuration })
  const manifest = manifests.find(({ kind }) => kind.startsWith('Mutating'))
  const [hook] = listAt(manifest, 'webhooks')
  assert.ok(manifest !== undefined && isFields(hook))
  await cluster.apply({ ...manifest, webhooks: [{ ...hook, clientConfig: { url } }] })
  t.after(() => cluster.ask('DELETE', `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${configuration}`))
}

/** Its container's own arguments, with a folder in place of its volumes. */
async function runsAsInjected(t: TestContext, namespace: string, pod: unknown): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'llama-swap-injected-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const name = textAt(pod, 'metadata', 'name')
  for (const use of ['push', 'client'] as const) {
    const token = await cluster.token({ namespace, serviceAccount: 'default', audience: `llama-swap-${use}`, pod: name })
    writeFileSync(join(folder, `${use}-token`), token)
  }
  const map = await cluster.ask('GET', `/api/v1/namespaces/${namespace}/configmaps/${PUSH_CA_NAME}`)
  writeFileSync(join(folder, 'ca.crt'), textAt(map, 'data', 'ca.crt'))
  const ip = podAddress()
  await cluster.setPod(namespace, name, { phase: 'Running', ready: true, ips: [ip] })
  const args = listAt(sidecarsOf(pod)[0], 'args').map((arg) =>
    String(arg)
      .replace('$(POD_IP)', ip)
      .replace(/[/]var[/](run|lib)[/]llama-swap/, folder),
  )
  const program = startProgram({ file: 'cli/main.ts', args })
  t.after(() => program.close())
  await eventually(async () => assert.equal((await fetch(`http://${ip}:19090/readyz`)).status, 200), 30_000)
  assert.equal((await fetch(`http://${ip}:19090/startupz`)).status, 200)
  assert.equal((await fetch(`${String(variableOf(valueAt(pod, 'spec', 'containers', 0), 'OPENAI_BASE_URL'))}/models`)).status, 200)
  await assert.rejects(fetch(`http://${ip}:18080/v1/models`))
}
