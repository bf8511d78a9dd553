/**
 * The charts on a real API server, with both helms: what every file of ci/ gives is taken, strictly and without a warning, where only
 * restricted Pods are allowed; an installation goes from install to uninstall; the definitions and every object outlive it.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { load } from 'js-yaml'
import { publishCaBundle } from '../../operator/admission/ca-bundle.ts'
import { webhookConfigurationName } from '../../operator/inject/manifests.ts'
import { KubeClient } from '../../operator/kube/client.ts'
import { loadKubeConfig } from '../../operator/kube/kube-config.ts'
import { CHART_CRDS, fetchChartCrds } from '../../scripts/fetch-chart-crds.ts'
import { fetchKubeTools } from '../../scripts/fetch-kube-tools.ts'
import { CHART, CI_CASES, CRD_CHART, ciFile, HELM_VERSIONS, type HelmVersion, helm, manifestsOf, NAMESPACE } from '../charts/render.ts'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts'
import { freePorts } from '../support/control-plane/free-ports.ts'
import { CONTROLLERS } from '../support/control-plane/programs.ts'
import { eventually } from '../support/eventually.ts'
import { ROOT, startProgram } from '../support/program.ts'

const FIRST_CHART = join(ROOT, 'test', 'charts', 'fixtures', 'llama-swap-0.1.0.tgz')
const WEBHOOK = webhookConfigurationName(NAMESPACE)
/** Where the files in ci/ put things. */
const NAMESPACES = [NAMESPACE, 'team-a', 'team-b', 'apps']
const MODEL = {
  apiVersion: 'llamaswap.dev/v1alpha1',
  kind: 'LlamaModel',
  metadata: { name: 'kept' },
  spec: { backends: [{ name: 'gpu', service: { name: 'gpu-server-1', port: { number: 8000 } } }] },
}

let plane: ControlPlane
before(async () => {
  await fetchKubeTools(() => undefined)
  await fetchChartCrds(() => undefined)
  plane = await startControlPlane({ controllers: [...CONTROLLERS, 'clusterrole-aggregation-controller'] })
  for (const name of NAMESPACES) await makeNamespace(name)
  for (const file of globSync('*.yaml', { cwd: CHART_CRDS })) await plane.apply(readFileSync(join(CHART_CRDS, file), 'utf8'))
})
after(() => plane.stop())

async function makeNamespace(name: string): Promise<void> {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted', 'pod-security.kubernetes.io/warn': 'restricted' }
  await plane.ask('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
}

/** Its standard output. Fails when helm does. */
async function asked(version: HelmVersion, ...args: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await helm(version, [...args, '--namespace', NAMESPACE], { KUBECONFIG: plane.kubeconfig })
  assert.equal(code, 0, stderr)
  return stdout
}

async function kubectl(...args: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await plane.kubectl(['--namespace', NAMESPACE, ...args])
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  return stdout.trim()
}

const firstKey = (): Promise<string> => kubectl('get', 'secret', 'llama-swap-first-key', '-o', 'jsonpath={.data.key}')

for (const version of HELM_VERSIONS) {
  test(`helm ${version}: install, upgrade, uninstall, install again`, async (t) => {
    const said = await asked(version, 'install', 'llama-swap', CHART)
    assert.match(said, /get secret llama-swap-first-key/)
    assert.match(said, /curl \S.* -H "Authorization: Bearer \$KEY" http:\/\/localhost:8080\/v1\/models/)
    assert.doesNotMatch(said, /<no value>|%!/)
    await kubectl('wait', '--for=condition=Established', 'crd/llamamodels.llamaswap.dev', 'crd/routingpolicies.llamaswap.dev')
    await plane.apply(MODEL, NAMESPACE)
    const key = await firstKey()

    await asked(version, 'upgrade', 'llama-swap', withNewerDefinitions(t), '--set', 'gateway.replicas=5')
    assert.equal(await kubectl('get', 'deployment', 'llama-swap-gateway', '-o', 'jsonpath={.spec.replicas}'), '5')
    assert.equal(await firstKey(), key)
    assert.match(await kubectl('get', 'crd', 'llamamodels.llamaswap.dev', '-o', 'jsonpath={.spec.names.shortNames}'), /newer/)

    await asked(version, 'uninstall', 'llama-swap')
    assert.equal(await kubectl('get', 'lmod', 'kept', '-o', 'name'), 'llamamodel.llamaswap.dev/kept')
    assert.equal(await kubectl('get', 'deployment,service,role,rolebinding,networkpolicy,pdb,secret', '-o', 'name'), '')

    await asked(version, 'install', 'llama-swap', CHART, '--set', 'crds.keep=false')
    assert.notEqual(await firstKey(), key)
    await asked(version, 'uninstall', 'llama-swap')
    await definitionsGone()
  })

  test(`helm ${version}: the definitions by their own chart, then models as values in one go`, async () => {
    await asked(version, 'install', 'llama-swap-crds', CRD_CHART, '--set', 'keep=false')
    await kubectl('wait', '--for=condition=Established', 'crd/llamamodels.llamaswap.dev', 'crd/routingpolicies.llamaswap.dev')
    const said = await asked(version, 'install', 'llama-swap', CHART, '--values', ciFile('models'))
    assert.match(said, /"model":"auto"/)
    assert.equal(await kubectl('get', 'rpol', 'auto', '-o', 'jsonpath={.spec.targets[*].model}'), 'llama-70b mistral-7b')
    await asked(version, 'uninstall', 'llama-swap')
    await asked(version, 'uninstall', 'llama-swap-crds')
    await definitionsGone()
  })
}

for (const version of HELM_VERSIONS) {
  test(`helm ${version}: the CA that the operator writes to its webhook outlives an upgrade and a rollback`, async () => {
    await asked(version, 'install', 'llama-swap', CHART, '--set', 'sidecars.enabled=true,crds.keep=false')
    const bundle = `-----BEGIN CERTIFICATE-----\n${'A'.repeat(64)}\n-----END CERTIFICATE-----\n`
    await publishCaBundle(operatorsClient(), WEBHOOK, bundle, AbortSignal.timeout(10_000))
    const written = async (): Promise<unknown> => {
      const found = await plane.ask('GET', `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${WEBHOOK}`)
      assert.equal(valueAt(found, 'webhooks', 0, 'clientConfig', 'caBundle'), Buffer.from(bundle).toString('base64'))
      return valueAt(found, 'webhooks', 0, 'timeoutSeconds')
    }
    assert.equal(await written(), 3)
    await asked(version, 'upgrade', 'llama-swap', CHART, '--reuse-values', '--set', 'sidecars.webhook.timeoutSeconds=2')
    assert.equal(await written(), 2)
    await asked(version, 'rollback', 'llama-swap', '1')
    assert.equal(await written(), 3)
    await asked(version, 'uninstall', 'llama-swap')
    assert.equal(
      await kubectl('get', 'mutatingwebhookconfiguration,clusterrole', '-l', 'app.kubernetes.io/name=llama-swap', '-o', 'name'),
      '',
    )
    await definitionsGone()
  })

  test(`helm ${version}: from the first chart to this one, and back`, async () => {
    await asked(version, 'install', 'llama-swap', FIRST_CHART)
    await kubectl('wait', '--for=condition=Established', 'crd/llamamodels.llamaswap.dev')
    const key = await firstKey()
    const address = (): Promise<string> => kubectl('get', 'service', 'llama-swap-gateway', '-o', 'jsonpath={.spec.clusterIP}')
    const before = await address()
    await asked(version, 'upgrade', 'llama-swap', CHART, '--set', 'sidecars.enabled=true')
    assert.deepEqual([await firstKey(), await address()], [key, before])
    await asked(version, 'rollback', 'llama-swap', '1')
    assert.deepEqual([await firstKey(), await address()], [key, before])
    assert.equal(await kubectl('get', 'service', 'llama-swap', '--ignore-not-found', '-o', 'name'), '')
    await asked(version, 'upgrade', 'llama-swap', CHART, '--set', 'crds.keep=false')
    await asked(version, 'uninstall', 'llama-swap')
    await definitionsGone()
  })

  test(`helm ${version}: who is admin of the namespaces, and of nothing else, installs in them`, async (t) => {
    await asked(4, 'install', 'llama-swap-crds', CRD_CHART, '--set', 'keep=false')
    for (const namespace of [NAMESPACE, 'team-a']) await plane.apply(adminOf(namespace), namespace)
    await aggregated()
    const as = ['--kube-as-user', 'ada', '--set', 'namespaces={team-a},crds.enabled=false']
    await asked(version, 'install', 'llama-swap', CHART, ...as)
    await asked(version, 'upgrade', 'llama-swap', CHART, ...as, '--set', 'gateway.replicas=3')
    await asked(version, 'uninstall', 'llama-swap', '--kube-as-user', 'ada')
    const refused = await helm(version, ['install', 'llama-swap', CHART, '--namespace', NAMESPACE, '--kube-as-user', 'ada'], {
      KUBECONFIG: plane.kubeconfig,
    })
    assert.notEqual(refused.code, 0)
    t.diagnostic(refused.stderr.split('\n')[0] ?? '')
    await asked(4, 'uninstall', 'llama-swap-crds')
    await definitionsGone()
  })
}

test('older definitions are refused where the policy says so, newer ones and those without a version are not', async () => {
  await asked(4, 'install', 'llama-swap-crds', CRD_CHART, '--set', 'downgradePolicy.enabled=true,keep=false')
  const version = (one: string) =>
    kubectl('annotate', 'crd', 'llamamodels.llamaswap.dev', `llamaswap.dev/definitions=${one}`, '--overwrite')
  // A new policy is in force a moment later.
  await eventually(async () => {
    await version('0.10.0')
    await assert.rejects(version('0.9.9'), /the cluster has definitions of version 0\.10\.0, these are of 0\.9\.9/)
  })
  await version('0.10.0-rc.1')
  await version('1.0.0')
  await kubectl('annotate', 'crd', 'llamamodels.llamaswap.dev', 'llamaswap.dev/definitions-')
  const { code, stderr } = await helm(4, ['upgrade', 'llama-swap-crds', CRD_CHART, '--namespace', NAMESPACE], {
    KUBECONFIG: plane.kubeconfig,
  })
  assert.equal(code, 0, stderr)
  await asked(4, 'upgrade', 'llama-swap-crds', CRD_CHART, '--set', 'keep=false')
  await asked(4, 'uninstall', 'llama-swap-crds')
  await definitionsGone()
})

/** A copy of the chart whose definitions have something new. */
function withNewerDefinitions(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'llama-swap-chart-'))
  t.after(() => rmSync(folder, { recursive: true }))
  cpSync(CHART, folder, { recursive: true })
  const file = join(folder, 'files', 'crds', 'llamamodels.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('shortNames: [lmod]', 'shortNames: [lmod, newer]'))
  return folder
}

/** As the operator asks, without its throttles. */
const operatorsClient = (): KubeClient => new KubeClient({ load: () => loadKubeConfig(plane.kubeconfig), onRequest: () => undefined })

const adminOf = (namespace: string): Readonly<Record<string, unknown>> => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name: 'ada', namespace },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
  subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'ada' }],
})

/** The controller manager adds rules to `admin` when it sees the ClusterRoles. */
const aggregated = (): Promise<void> =>
  eventually(async () => {
    const can = await plane.kubectl([
      'auth',
      'can-i',
      'patch',
      'llamamodels.llamaswap.dev',
      '--subresource=status',
      '--as',
      'ada',
      '--namespace',
      'team-a',
    ])
    assert.equal(can.stdout.trim(), 'yes')
  })

/** The API server looks after what is being deleted once a minute where its first look came too early. */
async function definitionsGone(): Promise<void> {
  const definitions = ['crd/llamamodels.llamaswap.dev', 'crd/routingpolicies.llamaswap.dev']
  const { code, stderr } = await plane.kubectl(['wait', '--for=delete', '--timeout=120s', ...definitions])
  if (code === 0) return
  const left = await plane.kubectl(['get', ...definitions, '--ignore-not-found', '-o', 'jsonpath={.metadata}{.status.conditions}'])
  assert.fail(`${stderr}\n${left.stdout}`)
}

test('helm 4 takes over what helm 3 installed', async () => {
  await asked(3, 'install', 'llama-swap', CHART)
  const key = await firstKey()
  await asked(4, 'upgrade', 'llama-swap', CHART, '--set', 'operator.replicas=3')
  assert.equal(await firstKey(), key)
  assert.equal(await kubectl('get', 'deployment', 'llama-swap-operator', '-o', 'jsonpath={.spec.replicas}'), '3')
  await asked(4, 'upgrade', 'llama-swap', CHART, '--set', 'crds.keep=false')
  await asked(4, 'uninstall', 'llama-swap')
  await definitionsGone()
})

test('dist/crds.yaml is applied, and a release takes it over as the README says', async () => {
  await kubectl('apply', '--server-side', '-f', join(ROOT, 'crds'))
  for (const crd of ['llamamodels.llamaswap.dev', 'routingpolicies.llamaswap.dev']) {
    await kubectl('label', 'crd', crd, 'app.kubernetes.io/managed-by=Helm', '--overwrite')
    const release = ['meta.helm.sh/release-name=llama-swap', `meta.helm.sh/release-namespace=${NAMESPACE}`]
    await kubectl('annotate', 'crd', crd, ...release, '--overwrite')
  }
  await asked(3, 'install', 'llama-swap', CHART)
  await asked(3, 'uninstall', 'llama-swap')
  const crd = await plane.ask('GET', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/llamamodels.llamaswap.dev')
  assert.equal(textAt(crd, 'metadata', 'annotations', 'helm.sh/resource-policy'), 'keep')
  assert.equal(valueAt(crd, 'metadata', 'deletionTimestamp'), undefined)
})

test('operator and gateway, started as the chart says and with its rights, answer the first request and the Pod of helm test', async (t) => {
  await asked(4, 'install', 'llama-swap', CHART, '--set', 'gateway.shutdown.drainDelaySeconds=0')
  t.after(() => asked(4, 'uninstall', 'llama-swap'))
  const [pushPort = 0] = await freePorts(1)
  const folder = mkdtempSync(join(tmpdir(), 'llama-swap-chart-'))
  t.after(() => rmSync(folder, { recursive: true }))
  await startOperator(t, pushPort)
  const caFile = join(folder, 'ca.crt')
  await eventually(async () =>
    writeFileSync(caFile, await kubectl('get', 'configmap', 'llama-swap-push-ca', '-o', 'jsonpath={.data.ca\\.crt}')),
  )
  const url = await startGateway(t, { folder, caFile, pushPort })

  const key = Buffer.from(await firstKey(), 'base64').toString()
  const headers = { authorization: `Bearer ${key}` }
  const answer = await eventually(async () => {
    const response = await fetch(`${url}/v1/models`, { headers })
    assert.equal(response.status, 200)
    return response.json()
  })
  assert.deepEqual(answer, { object: 'list', data: [] })
  assert.equal((await fetch(`${url}/v1/models`)).status, 401)

  const [node = '', ...command] = (await testCommand()).map(String)
  assert.equal(node, 'node')
  const run = (env: Readonly<Record<string, string>>) => spawnSync(process.execPath, command, { env, encoding: 'utf8' })
  assert.equal(run({ URL: url, KEY: key, TIMEOUT_SECONDS: '10' }).status, 0)
  const refused = run({ URL: url, KEY: 'a-key-that-nobody-has-made', TIMEOUT_SECONDS: '10' })
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /\/v1\/models answers 401/)
})

/** What the Deployment's one container is told. */
async function argsOf(part: string): Promise<readonly string[]> {
  const deployment = await plane.ask('GET', `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/llama-swap-${part}`)
  return listAt(deployment, 'spec', 'template', 'spec', 'containers', 0, 'args').map(String)
}

/** Later flags win: only addresses and files are this machine's. */
async function startOperator(t: TestContext, pushPort: number): Promise<void> {
  const { kubeconfig } = await plane.serviceAccountKubeconfig({ namespace: NAMESPACE, name: 'llama-swap-operator' })
  const here = ['--host=127.0.0.1', `--push-port=${pushPort}`, '--metrics-port=0', '--admin-port=0', '--push-names=127.0.0.1']
  const address = `--address=wss://127.0.0.1:${pushPort}/push`
  const args = [...(await argsOf('operator')), `--kubeconfig=${kubeconfig}`, ...here, address]
  const operator = startProgram({ file: 'cli/main.ts', args })
  t.after(async () => {
    await operator.close(8000)
    if (!t.passed) t.diagnostic(operator.output())
  })
  await operator.line(({ msg }) => msg === 'listening')
}

/** Where it answers. */
async function startGateway(
  t: TestContext,
  { folder, caFile, pushPort }: { readonly folder: string; readonly caFile: string; readonly pushPort: number },
): Promise<string> {
  const tokenFile = join(folder, 'token')
  const token = { namespace: NAMESPACE, serviceAccount: 'llama-swap-gateway', audience: 'llama-swap-push', pod: await podOf('gateway') }
  writeFileSync(tokenFile, await plane.token(token))
  const files = [`--operator-ca=${caFile}`, `--operator-token=${tokenFile}`, `--last-known-good=${join(folder, 'table')}`]
  const here = ['--host=127.0.0.1', '--port=0', '--metrics-port=0', '--admin-port=0', `--operator=wss://127.0.0.1:${pushPort}`]
  const gateway = startProgram({ file: 'cli/main.ts', args: [...(await argsOf('gateway')), ...files, ...here] })
  t.after(async () => {
    await gateway.close(8000)
    if (!t.passed) t.diagnostic(gateway.output())
  })
  const line = await gateway.line(({ msg }) => msg === 'listening')
  return `http://127.0.0.1:${String(line['inference'])}`
}

/** One that its Deployment has made: where only restricted ones may be. */
function podOf(part: string): Promise<string> {
  return eventually(async () => {
    const selector = `app.kubernetes.io/component=${part}`
    const name = await kubectl('get', 'pods', '-l', selector, '-o', 'jsonpath={.items[*].metadata.name}')
    assert.notEqual(name, '')
    return name.split(' ')[0] ?? ''
  })
}

/** Of the Pod that `helm test` makes. */
async function testCommand(): Promise<readonly unknown[]> {
  const hooks = await asked(4, 'get', 'hooks', 'llama-swap')
  return listAt(load(hooks), 'spec', 'containers', 0, 'command')
}

for (const name of CI_CASES) {
  for (const version of HELM_VERSIONS) {
    test(`helm ${version}, ${name}: the API server takes all of it`, async () => {
      const manifests = await manifestsOf({ version, files: [ciFile(name)] })
      const args = ['apply', '--dry-run=server', '--validate=strict', '-f', '-']
      const { stdout, stderr, code } = await plane.kubectl(args, { stdin: manifests })
      assert.deepEqual({ code, stderr: aboutOurs(stderr) }, { code: 0, stderr: '' })
      assert.equal(stdout.trim().split('\n').length, [...manifests.matchAll(/^kind: /gm)].length)
    })
  }
}

/** The definitions are there already, from server-side apply: kubectl says so. */
const aboutOurs = (said: string): string => said.replace(/^Warning: resource customresourcedefinitions\/\S+ is missing the .*\n/gm, '')
