/** What the other stories stand on: the cluster is a real one, and nothing of it stays when it ends, however it ends. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, readFileSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type Access, openCluster, SHARED_VARIABLE } from '../support/control-plane/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { layoutOf } from '../support/one-node/layout.ts'
import { removeNode } from '../support/one-node/node.ts'
import { ROOT } from '../support/program.ts'

const access: Access = JSON.parse(readFileSync(process.env[SHARED_VARIABLE] ?? '', 'utf8'))
const cluster = openCluster(access)
after(() => cluster.close())

const RESTRICTED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
}
const node = (name: string, script: string) => ({
  name,
  image: 'localhost/app:1',
  args: ['node', '-e', script],
  securityContext: RESTRICTED,
})
const serving = (port: number, words: string): string =>
  `require('http').createServer((q, r) => r.end('${words}')).listen(${port}); process.on('SIGTERM', () => process.exit())`

async function kubectl(...args: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await cluster.kubectl(args)
  assert.equal(code, 0, stderr)
  return stdout
}

/** What a Job's Pod printed. */
async function ran(namespace: string, name: string, pod: Readonly<Record<string, unknown>>): Promise<string> {
  const spec = { backoffLimit: 0, template: { spec: { restartPolicy: 'Never', ...pod } } }
  await cluster.apply({ apiVersion: 'batch/v1', kind: 'Job', metadata: { name, namespace }, spec })
  await kubectl('-n', namespace, 'wait', '--for=condition=Complete', `job/${name}`, '--timeout=50s')
  return (await kubectl('-n', namespace, 'logs', `job/${name}`, '-c', 'main')).trim()
}

test("a Pod reaches another one by its Service's name", async () => {
  const namespace = await cluster.namespace()
  await cluster.apply([
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', namespace, labels: { app: 'web' } },
      spec: {
        containers: [{ ...node('web', serving(8080, 'hello')), readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 } }],
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace },
      spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
    },
  ])
  await kubectl('-n', namespace, 'wait', '--for=condition=Ready', 'pod/web', '--timeout=50s')
  const asking = `(async () => { for (;;) try { return console.log(await (await fetch('http://web.${namespace}.svc')).text()) } catch { await new Promise((r) => setTimeout(r, 100)) } })()`
  assert.equal(await ran(namespace, 'asks', { containers: [node('main', asking)] }), 'hello')
})

test('a native sidecar serves its Pod and does not keep a Job from completing', async () => {
  const namespace = await cluster.namespace()
  const sidecar = {
    ...node('sidecar', serving(9090, 'beside')),
    restartPolicy: 'Always',
    startupProbe: { tcpSocket: { port: 9090 }, periodSeconds: 1 },
  }
  const main = node('main', `fetch('http://127.0.0.1:9090').then((it) => it.text()).then(console.log)`)
  assert.equal(await ran(namespace, 'job', { initContainers: [sidecar], containers: [main] }), 'beside')
})

test('a Pod reaches a process of this network at an address of documentation', async () => {
  const server = createServer((_, response) => response.end('outside')).listen(8000, '192.0.2.10')
  await once(server, 'listening')
  try {
    const namespace = await cluster.namespace()
    const main = node('main', `fetch('http://192.0.2.10:8000').then((it) => it.text()).then(console.log)`)
    assert.equal(await ran(namespace, 'job', { containers: [main] }), 'outside')
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

const SYSCTLS = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'net/ipv4/ip_forward',
  'net/netfilter/nf_conntrack_max',
]
const setting = (name: string): string => (existsSync(`/proc/sys/${name}`) ? readFileSync(`/proc/sys/${name}`, 'utf8') : '')
/** Of this process's own network and mounts. */
const machine = (): readonly string[] => [
  ...SYSCTLS.map(setting),
  readFileSync('/proc/self/mountinfo', 'utf8'),
  spawnSync('ip', ['-brief', 'address'])
    .stdout.toString()
    .replaceAll(/^veth.*\n/gm, ''),
]

function networkOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return '' // it is gone
  }
}
const processesIn = (network: string): readonly string[] => globSync('[0-9]*', { cwd: '/proc' }).filter((pid) => networkOf(pid) === network)
const cgroupsOf = (name: string): readonly string[] =>
  globSync([`/sys/fs/cgroup/${layoutOf(name).cgroup}`, `/sys/fs/cgroup/*/${layoutOf(name).cgroup}`])

/** A second node, the starter's own; with a Pod and a process of somebody in its network. */
async function secondNode(name: string): Promise<{ readonly starter: ChildProcess; readonly network: string }> {
  const modules = ['node', 'prepare'].map((file) => JSON.stringify(join(ROOT, `test/support/one-node/${file}.ts`)))
  const script = `const { startNode } = await import(${modules[0]}); const { prepared } = await import(${modules[1]});
    await startNode('${name}', prepared(), 'tied'); console.log('up'); setInterval(() => undefined, 1000)`
  const starter = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [up] = await Promise.race([once(starter.stdout, 'data'), once(starter, 'exit')])
  assert.equal(String(up), 'up\n')
  const inside = (...command: readonly string[]) => ['test/support/one-node/in.sh', name, ...command]
  const applied = spawnSync('sh', inside('kubectl', 'run', 'sleeper', '--image=localhost/app:1', '--restart=Never', '--', 'sleep', '600'), {
    cwd: ROOT,
  })
  assert.equal(applied.status, 0, applied.stderr.toString())
  const waited = spawnSync('sh', inside('kubectl', 'wait', '--for=condition=Ready', 'pod/sleeper', '--timeout=50s'), { cwd: ROOT })
  assert.equal(waited.status, 0, waited.stderr.toString())
  spawn('sh', inside('sleep', '600'), { cwd: ROOT, detached: true, stdio: 'ignore' }).unref()
  const network = networkOf(readFileSync(layoutOf(name).firstFile, 'utf8').trim())
  await eventually(async () => assert.ok(processesIn(network).length > 10))
  assert.ok(cgroupsOf(name).length > 0)
  return { starter, network }
}

async function assertGone(name: string, network: string): Promise<void> {
  await eventually(async () => {
    assert.deepEqual(processesIn(network), [])
    assert.deepEqual(cgroupsOf(name), [])
    assert.ok(!existsSync(layoutOf(name).state))
  })
}

for (const [how, end] of [
  ['is killed', (starter: ChildProcess) => void starter.kill('SIGKILL')],
  ['removes it', (_: ChildProcess, name: string) => removeNode(name)],
] as const)
  test(`nothing of a node stays when who started it ${how}, and the machine is as it was`, async () => {
    const before = machine()
    const name = `second-${process.pid}`
    const { starter, network } = await secondNode(name)
    try {
      await end(starter, name)
      await assertGone(name, network)
      assert.deepEqual(machine(), before)
    } finally {
      starter.kill('SIGKILL')
      await removeNode(name)
    }
  })
