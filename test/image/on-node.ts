/**
 * `sh test/support/one-node/in.sh NAME node test/image/on-node.ts [--write]`: start and memory of the image on the fresh node NAME, as kubelet
 * and containerd run it. With --write they go into docs/image.md. Nothing else should run meanwhile.
 */
import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { cpus, loadavg, release } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { isFields } from '../../operator/validate/problem.ts'
import { startApp } from '../end-to-end/support/app.ts'
import { kubectl, restrictedNamespace } from '../end-to-end/support/cluster.ts'
import { processOf, workingSets } from '../end-to-end/support/containers.ts'
import { type Installation, install } from '../end-to-end/support/install.ts'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import { type Access, type Cluster, openCluster, SHARED_VARIABLE } from '../support/control-plane/cluster.ts'
import { ROOT } from '../support/program.ts'

const PAGE = join(ROOT, 'docs/image.md')
const [BEGIN, END] = ['<!-- written by test/image/on-node.ts -->\n', '<!-- end of the node -->\n']
const MODELS = 50
const STARTS = 5
/** Longer than the kubelet's own time between two looks at memory. */
const IDLE_AFTER_MS = 40_000
const GATEWAYS = 'app.kubernetes.io/component=gateway'
const APPS = 'apps'

interface Start {
  /** From asking for one more gateway. */
  readonly podMs: number
  /** From the start of its process. */
  readonly listeningMs: number
  readonly tableMs: number
}

async function oneMore(cluster: Cluster, { namespace }: Installation, replicas: number): Promise<Start> {
  const path = `/api/v1/namespaces/${namespace}/pods?watch=1&labelSelector=${encodeURIComponent(GATEWAYS)}`
  const before = new Set(await namesOf(cluster, namespace))
  const askedAtMs = performance.now()
  await kubectl(cluster, ['-n', namespace, 'scale', 'deployment/llama-swap-gateway', `--replicas=${replicas}`])
  for await (const event of cluster.lines(path, AbortSignal.timeout(60_000))) {
    const pod = valueAt(event, 'object')
    if (before.has(textAt(pod, 'metadata', 'name')) || !isReady(pod)) continue
    const podMs = performance.now() - askedAtMs
    return { podMs, ...(await sinceStart(cluster, namespace, pod)) }
  }
  throw new Error('the watch ended')
}

const isReady = (pod: unknown): boolean =>
  listAt(pod, 'status', 'conditions').some((one) => isFields(one) && one['type'] === 'Ready' && one['status'] === 'True')

async function namesOf(cluster: Cluster, namespace: string): Promise<readonly string[]> {
  const list = await cluster.ask('GET', `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(GATEWAYS)}`)
  return listAt(list, 'items').map((pod) => textAt(pod, 'metadata', 'name'))
}

async function sinceStart(cluster: Cluster, namespace: string, pod: unknown): Promise<Omit<Start, 'podMs'>> {
  const { startedAtMs } = processOf(pod, 'proxy')
  const log = await kubectl(cluster, ['-n', namespace, 'logs', textAt(pod, 'metadata', 'name')])
  const at = (msg: string): number =>
    Date.parse(/"time":"([^"]+)"/.exec(log.split('\n').find((line) => line.includes(msg)) ?? '')?.[1] ?? '')
  return { listeningMs: at('"msg":"listening"') - startedAtMs, tableMs: at('"msg":"routing table taken"') - startedAtMs }
}

const model = (index: number): Readonly<Record<string, unknown>> => ({
  apiVersion: 'llamaswap.dev/v1alpha1',
  kind: 'LlamaModel',
  metadata: { name: `model-${index}`, namespace: APPS },
  spec: { backends: [{ name: 'a', url: `http://10.0.0.${index + 1}:8000` }] },
})

/** Of an idle gateway, an idle sidecar and the leading operator's Pod, in MiB: what counts towards the limit, and what is resident. */
async function memory(cluster: Cluster, { namespace }: Installation): Promise<readonly (readonly [string, string, string])[]> {
  const sets = await workingSets(cluster)
  const pods = [...(await podsOf(cluster, namespace)), ...(await podsOf(cluster, APPS))]
  const row = (role: string, container: string, goal = ''): readonly [string, string, string] => {
    const found = pods
      .filter((pod) => sets.has(keyOf(pod, container)))
      .map((pod) => ({ setMib: sets.get(keyOf(pod, container)) ?? 0, pod }))
      .toSorted((a, b) => b.setMib - a.setMib)[0]
    if (found === undefined) throw new Error(`no ${container}`)
    const resident = Number.parseInt(processOf(found.pod, container).status['VmRSS'] ?? '', 10) / 1024
    return [`idle ${role}, counted by its cgroup (resident)`, goal, `${found.setMib.toFixed(0)} MiB (${resident.toFixed(0)} MiB)`]
  }
  return [row('gateway, the largest', 'proxy'), row('sidecar', 'llama-swap', '≤ 96 MiB'), row('operator, the larger of two', 'operator')]
}

const podsOf = async (cluster: Cluster, namespace: string): Promise<readonly unknown[]> =>
  listAt(await cluster.ask('GET', `/api/v1/namespaces/${namespace}/pods`), 'items')
const keyOf = (pod: unknown, container: string): string =>
  [textAt(pod, 'metadata', 'namespace'), textAt(pod, 'metadata', 'name'), container].join('/')

async function report(cluster: Cluster): Promise<string> {
  const gateway = { replicas: 1 }
  const installation = await install(cluster, { values: { sidecars: { enabled: true }, addresses: { allow: ['10.0.0.0/24'] }, gateway } })
  await restrictedNamespace(cluster, APPS, { 'llamaswap.dev/inject': 'true' })
  await cluster.apply(Array.from({ length: MODELS }, (_, index) => model(index)))
  const script = 'setInterval(() => {}, 1000)'
  await startApp(cluster, { namespace: APPS, name: 'idle', script, annotations: { 'llamaswap.dev/inject': 'true' } })
  const starts: Start[] = []
  for (let turn = 0; turn < STARTS; turn += 1) starts.push(await oneMore(cluster, installation, turn + 2))
  const median = (of: (start: Start) => number): string => (starts.map(of).toSorted((a, b) => a - b)[STARTS >> 1] ?? 0).toFixed(0)
  await wait(IDLE_AFTER_MS)
  const rows: readonly (readonly [string, string, string])[] = [
    [`gateway Pod, from asking for it to Ready, median of ${STARTS}`, '', `${median(({ podMs }) => podMs)} ms`],
    ['of this, from the start of its process until it listens', '', `${median(({ listeningMs }) => listeningMs)} ms`],
    ['from the start of its process until it has the table', '', `${median(({ tableMs }) => tableMs)} ms`],
    ...(await memory(cluster, installation)),
  ]
  const version = valueAt(await cluster.ask('GET', '/api/v1/nodes/node1'), 'status', 'nodeInfo')
  const node = `${textAt(version, 'containerRuntimeVersion').replace('://', ' ')}, kubelet ${textAt(version, 'kubeletVersion')}`
  const machine = `${node}, ${cpus()[0]?.model.trim()}, ${cpus().length} cores, Linux ${release()}, ${new Date().toISOString().slice(0, 10)}`
  return [
    `${machine}. Load average of the minute: ${loadavg()[0]?.toFixed(1)}.`,
    '',
    '| | Goal | Measured |',
    '|---|---|---|',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
  ].join('\n')
}

function accessHere(): Access {
  const file = process.env[SHARED_VARIABLE]
  if (file === undefined) throw new Error('Run it on a node: sh test/support/one-node/in.sh NAME node test/image/on-node.ts')
  return JSON.parse(readFileSync(file, 'utf8'))
}

const cluster = openCluster(accessHere())
try {
  const text = await report(cluster)
  console.log(text)
  if (process.argv.includes('--write')) {
    const page = await readFile(PAGE, 'utf8')
    await writeFile(PAGE, `${page.slice(0, page.indexOf(BEGIN) + BEGIN.length)}${text}${page.slice(page.indexOf(END))}`)
  }
} finally {
  await cluster.close()
}
