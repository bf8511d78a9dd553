/** What runs: flags that programs have, the same as docs/operations.md applies, restricted, with times that fit together. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadAll } from 'js-yaml'
import { PROXY_FLAGS, proxyConfig, pushConfig, readFlags } from '../../proxy/config.ts'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import { ROOT } from '../support/program.ts'
import { CI_CASES, ciFile, kindOf, nameOf, objectNamed, render } from './render.ts'

const WORKLOADS = ['operator', 'gateway'] as const
const deploymentOf = (objects: readonly unknown[], part: string): unknown =>
  objectNamed(objects, `Deployment llama-swap/llama-swap-${part}`)
const containerOf = (deployment: unknown): unknown => valueAt(deployment, 'spec', 'template', 'spec', 'containers', 0)
const argsOf = (container: unknown): readonly string[] => listAt(container, 'args').map(String)

const [, yaml = ''] = /```yaml\n(apiVersion: .*?)```/s.exec(readFileSync(join(ROOT, 'docs/operations.md'), 'utf8')) ?? []
const byHand = loadAll(yaml)

function flagsOf(command: string): ReadonlySet<string | undefined> {
  const help = execFileSync(process.execPath, [join(ROOT, 'cli/main.ts'), command, '--help'], { encoding: 'utf8' })
  return new Set([...help.matchAll(/^ {2}--(\S+)/gm)].map(([, name]) => name))
}

test('programs get only flags that they have, in every case', async () => {
  const known = { operator: flagsOf('operator'), proxy: flagsOf('proxy') }
  for (const name of CI_CASES) {
    const objects = await render({ files: [ciFile(name)] })
    for (const part of WORKLOADS) {
      const [command = '', ...flags] = argsOf(containerOf(deploymentOf(objects, part)))
      assert.equal(command, part === 'operator' ? 'operator' : 'proxy')
      const unknown = flags.filter((flag) => !known[command].has(/^--([a-z-]+)=/.exec(flag)?.[1]))
      assert.deepEqual(unknown, [], name)
    }
  }
})

test('a proxy takes the values of its flags, in every case', async () => {
  for (const name of CI_CASES) {
    const [, ...flags] = argsOf(containerOf(deploymentOf(await render({ files: [ciFile(name)] }), 'gateway')))
    const { values } = readFlags(PROXY_FLAGS, flags, {})
    assert.equal(pushConfig(values)?.mode, 'Gateway')
    assert.ok(proxyConfig(values).shutdownGraceMs >= 600_000)
  }
})

for (const part of WORKLOADS) {
  test(`the ${part} is started as docs/operations.md does`, async () => {
    const [ours, manual] = [await render({}), byHand].map((objects) => deploymentOf(objects, part))
    const [mine, theirs] = [containerOf(ours), containerOf(manual)]
    for (const field of ['ports', 'startupProbe', 'readinessProbe', 'livenessProbe', 'volumeMounts'])
      assert.deepEqual(withoutReadOnly(valueAt(mine, field)), valueAt(theirs, field), field)
    assert.deepEqual(valueAt(ours, 'spec', 'template', 'spec', 'volumes'), valueAt(manual, 'spec', 'template', 'spec', 'volumes'))
    assert.equal(textAt(ours, 'spec', 'template', 'spec', 'serviceAccountName'), `llama-swap-${part}`)
    const missing = argsOf(theirs).filter((arg) => !argsOf(mine).includes(arg))
    assert.deepEqual(missing, [])
  })
}

/** The chart mounts credentials read-only as well. */
const withoutReadOnly = (value: unknown): unknown =>
  value === undefined ? value : JSON.parse(JSON.stringify(value).replaceAll(',"readOnly":true', ''))

test('a gateway lives as long as its longest stream, and its drain, need', async () => {
  const shutdown = { preStopSeconds: 7, drainDelaySeconds: 11, longestStreamSeconds: 1300 }
  const gateway = deploymentOf(
    await render({ set: Object.entries(shutdown).map(([key, value]) => `gateway.shutdown.${key}=${value}`) }),
    'gateway',
  )
  const container = containerOf(gateway)
  assert.equal(valueAt(gateway, 'spec', 'template', 'spec', 'terminationGracePeriodSeconds'), 7 + 11 + 1300 + 10)
  assert.equal(valueAt(container, 'lifecycle', 'preStop', 'sleep', 'seconds'), 7)
  assert.ok(argsOf(container).includes('--drain-delay=11s') && argsOf(container).includes('--shutdown-grace=1300s'))
})

test('all Pods are restricted: no root, no privileges, a read-only root', async () => {
  for (const name of CI_CASES) {
    const objects = await render({ files: [ciFile(name)] })
    const pods = objects.flatMap((object) =>
      kindOf(object) === 'Deployment'
        ? [valueAt(object, 'spec', 'template', 'spec')]
        : kindOf(object) === 'Pod'
          ? [valueAt(object, 'spec')]
          : [],
    )
    assert.ok(pods.length >= 2)
    for (const pod of pods) {
      assert.equal(valueAt(pod, 'securityContext', 'runAsNonRoot'), true)
      assert.deepEqual(valueAt(pod, 'securityContext', 'seccompProfile'), { type: 'RuntimeDefault' })
      for (const container of listAt(pod, 'containers')) {
        assert.deepEqual(valueAt(container, 'securityContext'), {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
        assert.ok(valueAt(container, 'resources', 'limits', 'memory') !== undefined)
      }
    }
  }
})

test('every object is labelled, and none is outside the namespaces that values name', async () => {
  for (const name of CI_CASES) {
    for (const object of await render({ files: [ciFile(name)] })) {
      if (/\/extra(-text)?$/.test(nameOf(object))) continue
      assert.equal(valueAt(object, 'metadata', 'labels', 'app.kubernetes.io/name'), 'llama-swap', nameOf(object))
      assert.match(
        nameOf(object),
        /^(CustomResourceDefinition|ClusterRole|ClusterRoleBinding|MutatingWebhookConfiguration) \/|^\w+ (llama-swap|team-a|team-b|apps)\//,
      )
    }
  }
})

test('selectors of Services, budgets, policies and monitors find the Pods', async () => {
  const objects = await render({ files: [ciFile('production')] })
  for (const part of WORKLOADS) {
    const labels = valueAt(deploymentOf(objects, part), 'spec', 'template', 'metadata', 'labels')
    const selectors = objects.flatMap((object) => {
      if (!nameOf(object).includes(`/llama-swap-${part}`)) return []
      if (kindOf(object) === 'Service') return [valueAt(object, 'spec', 'selector')]
      if (kindOf(object) === 'PodDisruptionBudget') return [valueAt(object, 'spec', 'selector', 'matchLabels')]
      return kindOf(object) === 'NetworkPolicy' ? [valueAt(object, 'spec', 'podSelector', 'matchLabels')] : []
    })
    assert.equal(selectors.length, 4)
    for (const selector of selectors) assert.deepEqual({ ...asObject(labels), ...asObject(selector) }, labels)
  }
})

test('monitors find the Services of metrics, and no other', async () => {
  const objects = await render({ files: [ciFile('production')] })
  for (const part of WORKLOADS) {
    const wanted = asObject(
      valueAt(objectNamed(objects, `ServiceMonitor llama-swap/llama-swap-${part}`), 'spec', 'selector', 'matchLabels'),
    )
    const found = objects.filter((object) => {
      const labels = asObject(valueAt(object, 'metadata', 'labels'))
      return kindOf(object) === 'Service' && Object.entries(wanted).every(([key, value]) => labels[key] === value)
    })
    assert.deepEqual(found.map(nameOf), [`Service llama-swap/llama-swap-${part}-metrics`])
  }
})

const asObject = (value: unknown): Record<string, unknown> => (typeof value === 'object' && value !== null ? { ...value } : {})

test('a first key is where the operator looks, and the test asks with it', async () => {
  const objects = await render({ files: [ciFile('namespaced')] })
  objectNamed(objects, 'Secret team-a/llama-swap-first-key')
  objectNamed(objects, 'Pod team-a/llama-swap-test')
})

test('the Pod of helm test checks the certificate by the CA of its Secret, unless that is for other names', async () => {
  const made = async (...set: readonly string[]) => {
    const pod = objectNamed(await render({ set: ['gateway.tls.secretName=llm-tls', ...set] }), 'Pod llama-swap/llama-swap-test')
    const env = listAt(pod, 'spec', 'containers', 0, 'env').map((one) => [textAt(one, 'name'), valueAt(one, 'value')] as const)
    return { env: new Map(env), volume: valueAt(pod, 'spec', 'volumes', 0, 'secret') }
  }
  const checking = await made()
  assert.equal(checking.env.get('URL'), 'https://llama-swap.llama-swap.svc')
  assert.equal(checking.env.get('NODE_EXTRA_CA_CERTS'), '/var/run/llama-swap-tls/ca.crt')
  assert.deepEqual(checking.volume, { secretName: 'llm-tls', optional: true, items: [{ key: 'ca.crt', path: 'ca.crt' }] })
  const trusting = await made('tests.verifyCertificate=false')
  assert.equal(trusting.env.get('NODE_TLS_REJECT_UNAUTHORIZED'), '0')
  assert.equal(trusting.volume, undefined)
})

test('one port, by whatever clients speak there: Services, Ingress, sidecars and notes agree', async () => {
  const urlOf = async (...set: readonly string[]) => {
    const objects = await render({ set: ['sidecars.enabled=true', ...set] })
    const flag = argsOf(containerOf(deploymentOf(objects, 'operator'))).find((arg) => arg.startsWith('--gateway-url='))
    const ports = ['llama-swap', 'llama-swap-gateway'].map((name) =>
      valueAt(objectNamed(objects, `Service llama-swap/${name}`), 'spec', 'ports', 0),
    )
    assert.deepEqual(ports[0], ports[1])
    return [flag?.split('=')[1], textAt(ports[0], 'name'), valueAt(ports[0], 'port')]
  }
  assert.deepEqual(await urlOf(), ['http://llama-swap.llama-swap.svc', 'http', 80])
  assert.deepEqual(await urlOf('gateway.service.port=8080'), ['http://llama-swap.llama-swap.svc:8080', 'http', 8080])
  assert.deepEqual(await urlOf('gateway.tls.secretName=a'), [undefined, 'https', 443])
  assert.deepEqual(await urlOf('gateway.tls.secretName=a', 'sidecars.gatewayUrl=https://llm.example.com'), [
    'https://llm.example.com',
    'https',
    443,
  ])
})
