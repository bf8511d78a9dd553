/** The image under a real container runtime: one image in three roles, nobody's, read-only, without a shell, and as small as docs/image.md says. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import { eventually } from '../support/eventually.ts'
import { startApp } from './support/app.ts'
import { clusterHere, kubectl, restrictedNamespace } from './support/cluster.ts'
import { processOf, workingSets } from './support/containers.ts'
import { install } from './support/install.ts'

const cluster = clusterHere()
const APPS = 'apps'
const SIDECAR_MIB = 96

interface Role {
  readonly namespace: string
  readonly container: string
  readonly pod: unknown
}
let roles: readonly Role[] = []

before(async () => {
  const { namespace } = await install(cluster, { values: { sidecars: { enabled: true } } })
  await restrictedNamespace(cluster, APPS, { 'llamaswap.dev/inject': 'true' })
  const name = 'idle'
  // The webhook serves once the operator has its certificate in the configuration.
  await eventually(async () => {
    await kubectl(cluster, ['-n', APPS, 'delete', 'pod', name, '--ignore-not-found'])
    await startApp(cluster, {
      namespace: APPS,
      name,
      script: 'setInterval(() => {}, 1000)',
      annotations: { 'llamaswap.dev/inject': 'true' },
    })
    assert.ok(listAt(await podOf(APPS, `app=${name}`), 'spec', 'initContainers').length > 0)
  }, 60_000)
  roles = [
    { namespace, container: 'operator', pod: await podOf(namespace, 'app.kubernetes.io/component=operator') },
    { namespace, container: 'proxy', pod: await podOf(namespace, 'app.kubernetes.io/component=gateway') },
    { namespace: APPS, container: 'llama-swap', pod: await podOf(APPS, `app=${name}`) },
  ]
})

async function podOf(namespace: string, selector: string): Promise<unknown> {
  return listAt(await cluster.ask('GET', `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`), 'items')[0]
}

const exec = ({ namespace, container, pod }: Role, ...command: readonly string[]) =>
  cluster.kubectl(['-n', namespace, 'exec', textAt(pod, 'metadata', 'name'), '-c', container, '--', ...command])

test('operator, gateway and sidecar are the same image', () => {
  const images = roles.map(({ pod, container }) => {
    const statuses = [...listAt(pod, 'status', 'containerStatuses'), ...listAt(pod, 'status', 'initContainerStatuses')]
    return textAt(
      statuses.find((status) => valueAt(status, 'name') === container),
      'imageID',
    )
  })
  assert.equal(images.length, 3)
  assert.equal(new Set(images).size, 1, images.join(' '))
})

test('each is the first process of its container, of user 65532, with no capability and none to gain, behind a filter of calls', () => {
  for (const { pod, container } of roles) {
    const { status } = processOf(pod, container)
    assert.match(status['Uid'] ?? '', /^65532\s+65532\s+65532\s+65532$/, container)
    assert.match(status['NSpid'] ?? '', /\s1$/)
    assert.deepEqual(
      [status['CapEff'], status['CapBnd'], status['NoNewPrivs'], status['Seccomp']],
      ['0'.repeat(16), '0'.repeat(16), '1', '2'],
    )
  }
})

test('none has a shell, and nothing can be written', async () => {
  const write = `try { require('fs').writeFileSync('/tmp/x', '') } catch ({ code }) { console.log(code) }`
  for (const role of roles) {
    const shell = await exec(role, 'sh', '-c', 'true')
    assert.notEqual(shell.code, 0)
    assert.match(shell.stderr, /"sh": executable file not found/)
    assert.equal((await exec(role, '/usr/bin/node', '-e', write)).stdout, 'EROFS\n')
  }
})

test(`an idle sidecar takes ${SIDECAR_MIB} MiB at most, by its cgroup`, async (t) => {
  const [operator, gateway, sidecar] = await eventually(async () => {
    const sets = await workingSets(cluster)
    const found = roles.map(({ namespace, pod, container }) => sets.get(`${namespace}/${textAt(pod, 'metadata', 'name')}/${container}`))
    assert.ok(found.every((set) => set !== undefined && set > 0))
    return found
  }, 45_000)
  t.diagnostic(`MiB: operator ${operator?.toFixed(0)}, gateway ${gateway?.toFixed(0)}, sidecar ${sidecar?.toFixed(0)}`)
  assert.ok(sidecar !== undefined && sidecar <= SIDECAR_MIB, `${sidecar}`)
})
