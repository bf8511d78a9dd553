/** `llama-swap status`: one screen of an installation, from its objects in the cluster and from its operator's admin port. It changes nothing. */
import { styleText } from 'node:util'
import { ApiError } from '../operator/kube/api-error.ts'
import { KubeClient } from '../operator/kube/client.ts'
import { loadKubeConfig } from '../operator/kube/kube-config.ts'
import type { LeaseName } from '../operator/lead/lease.ts'
import { type Flag, type FlagValues, flag, helpLines, readFlags, UsageError } from '../proxy/config.ts'
import { readLease, readObjects } from './cluster-objects.ts'
import { type Asked, askOperator } from './operator-state.ts'
import { type Paint, type StatusSeen, statusScreen, statusView } from './status-screen.ts'

const STATUS_FLAGS: readonly Flag[] = [
  flag('kubeconfig', 'FILE', '', 'cluster to ask; absent = $KUBECONFIG, ~/.kube/config, or the pod it runs in'),
  flag('namespace', 'NAMESPACE', '', 'objects of this namespace only; absent = of all'),
  flag('operator', 'URL', 'http://127.0.0.1:8081', "the operator's admin port, such as through kubectl port-forward"),
  flag('operator-namespace', 'NAMESPACE', 'llama-swap', 'where its leader Lease is, unless the operator says it'),
  flag('install', 'NAME', 'llama-swap-operator', 'name of its leader Lease, unless the operator says it'),
]

const HELP = [
  'llama-swap status [--json] [flags]',
  '',
  'Says whether LlamaModels and RoutingPolicies are served, and of each that is not, why. Exit code 0: an operator leads, reads all it needs,',
  'and every object is Ready; 1: something is not; 2: wrong use, or the cluster cannot be asked.',
  '',
  ...helpLines(STATUS_FLAGS),
]

export async function runStatus(argv: readonly string[]): Promise<number> {
  const { values, rest } = readFlags(
    STATUS_FLAGS,
    argv.filter((one) => one !== '--json'),
    {},
  )
  if (rest.length > 0) throw new UsageError(`"${rest[0]}" is no flag of status. Use --help to see the flags.`)
  if (values.has('help')) return print(HELP, 0)
  const view = statusView(await look(values))
  const lines = argv.includes('--json') ? [JSON.stringify(view, null, 2)] : statusScreen(view, paintFor(process.stdout.isTTY))
  return print(lines, view.well ? 0 : 1)
}

function print(lines: readonly string[], code: number): number {
  process.stdout.write(`${lines.join('\n')}\n`)
  return code
}

async function look(values: FlagValues): Promise<StatusSeen> {
  const url = values.get('operator') ?? ''
  if (!URL.canParse(url)) throw new UsageError(`--operator must be a URL such as http://127.0.0.1:8081, not "${url}".`)
  const client = new KubeClient({ load: () => loadKubeConfig(values.get('kubeconfig')) })
  const { signal } = new AbortController()
  try {
    const [objects, operator] = await Promise.all([readObjects(client, values.get('namespace'), signal), askOperator(url, signal)])
    return { objects, operator, lease: await readLease(client, leaseName(values, operator), signal), nowMs: Date.now() }
  } catch (error) {
    throw error instanceof ApiError ? new UsageError(refusalAdvice(error)) : error
  } finally {
    await client.close()
  }
}

function leaseName(values: FlagValues, operator: Asked): LeaseName {
  const given = { namespace: values.get('operator-namespace') ?? '', name: values.get('install') ?? '' }
  const [namespace, name] = 'state' in operator ? operator.state.install.split('/') : []
  return namespace === undefined || name === undefined ? given : { namespace, name }
}

function refusalAdvice({ status, message }: ApiError): string {
  if (status === 404) return `the cluster does not know LlamaModels: install the CRDs (kubectl apply -f crds/). ${message}`
  if (status === 403) return `you may not read these objects; name a namespace of yours with --namespace. ${message}`
  return `the cluster cannot be asked: ${message}`
}

const COLOURS: Readonly<Record<string, 'green' | 'red' | 'yellow'>> = { True: 'green', False: 'red' }

/** NO_COLOR and the like are heeded by `styleText`. */
const paintFor =
  (isTerminal: boolean): Paint =>
  (word, status) =>
    isTerminal ? styleText(COLOURS[status] ?? 'yellow', word) : word
