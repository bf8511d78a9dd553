/** Installs our chart from the checkout, as its README says. In: a namespace and values. Out: where it serves, and its first key. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { dump } from 'js-yaml'
import { HELMS } from '../../../scripts/fetch-kube-tools.ts'
import type { Cluster } from '../../support/control-plane/cluster.ts'
import { eventually } from '../../support/eventually.ts'
import { ROOT } from '../../support/program.ts'
import { kubectl, restrictedNamespace, runProgram, serviceUrl, stateOf } from './cluster.ts'

export type Values = Readonly<Record<string, unknown>>

export interface InstallOptions {
  /** Made if it is not there, with restricted Pod Security enforced; "llama-swap" if absent. */
  readonly namespace?: string
  /** Win over the test's own settings. */
  readonly values?: Values
  /** Folder of the chart; charts/llama-swap if absent. */
  readonly chart?: string
  readonly helmVersion?: keyof typeof HELMS
  /** Further arguments of helm, such as --set. */
  readonly args?: readonly string[]
  /** Whose rights helm has; the administrator's if absent. */
  readonly kubeconfig?: string
}

export interface Installation {
  readonly namespace: string
  /** What apps in the cluster use, without "/v1": "http://llama-swap.NAMESPACE.svc". */
  readonly url: string
  /** Of the Secret llama-swap-first-key; '' where the installation makes none. */
  readonly key: string
  /** What `helm install` printed. */
  readonly notes: string
  /** `helm upgrade`, with the values of before unless `reset`; resolves when the new Pods are ready. */
  upgrade(change?: { readonly values?: Values; readonly chart?: string; readonly reset?: boolean }): Promise<string>
  /** Of this release: `helm('test')`, `helm('rollback', '1')`. Its output; rejects with it. */
  helm(command: string, ...args: readonly string[]): Promise<string>
  /** Resolves when the Pods of operator and gateways are ready. */
  ready(): Promise<void>
  uninstall(): Promise<string>
}

/** So that two cores hold an operator, two gateways, engines and apps. Limits, probes and security stay the chart's. */
const SETTINGS: Values = {
  gateway: { resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '512Mi' } } },
  operator: { resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '512Mi' } } },
}
const RELEASE = 'llama-swap'
export const CHART = join(ROOT, 'charts', 'llama-swap')

/** Rejects with helm's words, or with the state of the Pods that do not become ready. */
export async function install(cluster: Cluster, options: InstallOptions = {}): Promise<Installation> {
  const { namespace = 'llama-swap', values = {}, chart = CHART, helmVersion = 4, args = [], kubeconfig } = options
  const env = kubeconfig === undefined ? {} : { KUBECONFIG: kubeconfig }
  const helm = async (command: string, rest: readonly string[], stdin = ''): Promise<string> => {
    const ended = await runProgram(cluster, HELMS[helmVersion], [command, RELEASE, ...rest, '--namespace', namespace], { stdin, env })
    if (ended.code === 0) return ended.stdout
    throw new Error(`helm ${command} ended with ${ended.code}\n${ended.stderr}${ended.stdout}\n${await stateOf(cluster, namespace)}`)
  }
  await restrictedNamespace(cluster, namespace)
  const notes = await helm('install', [chart, '--values', '-', ...args], dump(merged(SETTINGS, values)))
  await ready(cluster, namespace)
  return {
    namespace,
    url: `http://llama-swap.${namespace}.svc`,
    key: await firstKey(cluster, namespace),
    notes,
    upgrade: async ({ values: changed = {}, chart: newer = chart, reset = false } = {}) => {
      const kept = reset ? '--reset-values' : '--reset-then-reuse-values'
      const said = await helm('upgrade', [newer, kept, '--values', '-'], dump(reset ? merged(SETTINGS, changed) : changed))
      await ready(cluster, namespace)
      return said
    },
    helm: (command, ...rest) => helm(command, rest),
    ready: () => ready(cluster, namespace),
    uninstall: () => helm('uninstall', ['--wait']),
  }
}

/** All replicas of the newest version, none of an older one; the definitions can be used, and kube-proxy knows where the Service leads. */
async function ready(cluster: Cluster, namespace: string): Promise<void> {
  const rollout = ['-n', namespace, 'rollout', 'status', '--timeout=90s', 'deployment/llama-swap-operator', 'deployment/llama-swap-gateway']
  try {
    await kubectl(cluster, ['wait', '--for=condition=Established', '--timeout=30s', ...DEFINITIONS])
    await kubectl(cluster, rollout, { timeoutMs: 100_000 })
    await answers(await serviceUrl(cluster, namespace, 'llama-swap-gateway'))
  } catch (error) {
    throw new Error(`operator and gateways did not become ready\n${await stateOf(cluster, namespace)}`, { cause: error })
  }
}

/** Resolves when its port can be dialled: kube-proxy is up to a second behind what is Ready. */
async function answers(url: string): Promise<void> {
  const { port, hostname } = new URL(url)
  await eventually(async () => {
    const socket = connect(Number(port || 80), hostname)
    await once(socket, 'connect').finally(() => socket.destroy())
  }, 20_000)
}

const DEFINITIONS = ['crd/llamamodels.llamaswap.dev', 'crd/routingpolicies.llamaswap.dev']

async function firstKey(cluster: Cluster, namespace: string): Promise<string> {
  const args = ['-n', namespace, 'get', 'secret', 'llama-swap-first-key', '--ignore-not-found', '-o', 'jsonpath={.data.key}']
  return Buffer.from(await kubectl(cluster, args), 'base64').toString()
}

/** Objects field by field, everything else whole. */
function merged(base: Values, over: Values): Values {
  const both = Object.entries(over).map(([name, value]): [string, unknown] => {
    const before = base[name]
    return [name, isValues(before) && isValues(value) ? merged(before, value) : value]
  })
  return { ...base, ...Object.fromEntries(both) }
}

const isValues = (value: unknown): value is Values => typeof value === 'object' && value !== null && !Array.isArray(value)
