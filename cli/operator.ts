/** `llama-swap operator`: reads the flags and wires the operator to a cluster; `--print-rbac` prints the rights it needs instead. */
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { dump } from 'js-yaml'
import type { OperatorConfig, SidecarConfig } from '../operator/config.ts'
import { webhookConfigurationName, webhookManifests } from '../operator/inject/manifests.ts'
import { KubeClient } from '../operator/kube/client.ts'
import { loadKubeConfig } from '../operator/kube/kube-config.ts'
import { type OwnAccount, readOwnAccount } from '../operator/kube/own-account.ts'
import { Operator } from '../operator/main.ts'
import { operatorRights } from '../operator/workloads/rbac.ts'
import { serviceNames } from '../operator/workloads/service-names.ts'
import { createLogger, LOG_LEVELS } from '../proxy/account/log.ts'
import { type Flag, type FlagValues, flag, helpLines, listValue, oneOfValue, readFlags, UsageError, wholeValue } from '../proxy/config.ts'
import { runUntilSignal } from '../proxy/process.ts'

type Env = Readonly<Record<string, string | undefined>>

const OPERATOR_FLAGS: readonly Flag[] = [
  flag('kubeconfig', 'FILE', '', 'cluster to watch; absent = $KUBECONFIG, ~/.kube/config, or the pod it runs in'),
  flag('namespace', 'NAMESPACE', 'llama-swap', 'where the operator itself runs'),
  flag('namespaces', 'NAMESPACE,…', '', 'namespaces served, with Roles only; absent = all of the cluster'),
  flag('install', 'NAME', 'llama-swap-operator', 'name of the leader Lease: one per installation'),
  flag('identity', 'NAME', '', 'name of this replica; absent = the host name'),
  flag('service-account', 'NAME', 'llama-swap-operator', 'account whose rights --print-rbac prints'),
  flag('gateway-service-accounts', 'NAMESPACE/NAME,…', '', 'accounts whose proxies are gateways; absent = llama-swap-gateway here'),
  flag('gateway-url', 'URL', '', 'where sidecars reach backends that need a credential; absent = they do not'),
  flag('host', 'ADDRESS', '0.0.0.0', 'address to listen on'),
  flag('push-port', 'PORT', '8443', 'port that proxies dial'),
  flag('metrics-port', 'PORT', '9090', '/metrics /healthz /readyz /startupz'),
  flag('admin-port', 'PORT', '8081', '/debug/state, on loopback only'),
  flag('push-names', 'NAME,…', '', 'names in the push certificate; absent = llama-swap-operator and its longer forms'),
  flag('address', 'URL', '', 'where proxies reach this replica, such as wss://10.0.0.3:8443/push; told by standbys'),
  flag('bundle-namespaces', 'NAMESPACE,…', '', "namespaces that get the push's CA bundle besides the operator's own"),
  flag('allow-addresses', 'CIDR,…', '', 'backend addresses allowed although denied otherwise'),
  flag(
    'deny-addresses',
    'CIDR,…',
    '',
    'backend addresses denied besides loopback, link-local, metadata, the API server and other namespaces',
  ),
  flag('sidecar-image', 'IMAGE', '', 'image of the sidecars that are injected into Pods that ask for one; absent = none are'),
  flag('sidecar-mode', 'MODE', 'Auto', 'Auto, Native, Classic: native sidecars where the cluster has them, from Kubernetes 1.29'),
  flag('sidecar-operator', 'URL', '', 'where injected sidecars dial; absent = wss://llama-swap-operator.NAMESPACE.svc:8443'),
  flag('webhook-port', 'PORT', '9443', 'port of the webhook that injects them'),
  flag('webhook-configuration', 'NAME', '', 'its MutatingWebhookConfiguration; absent = llama-swap-sidecars-NAMESPACE'),
  flag('log-level', 'LEVEL', 'info', LOG_LEVELS.join(', ')),
]

const SIDECAR_MODES = ['Auto', 'Native', 'Classic'] as const
/** Flags without a value: what is printed in place of a start. */
const PRINTS = ['--print-rbac', '--print-webhook']

const HELP = [
  'llama-swap operator [--print-rbac | --print-webhook]',
  '',
  'Watches LlamaModels and RoutingPolicies and pushes routing tables to proxies. Each flag has a twin in the environment: --namespace is',
  'LLAMA_SWAP_NAMESPACE. --print-rbac prints the objects to apply for its rights, with exactly the verbs it uses, and ends; --print-webhook',
  'those for sidecars to be injected.',
  '',
  ...helpLines(OPERATOR_FLAGS),
]

export async function runOperator(argv: readonly string[], env: Env): Promise<number> {
  const { values, rest } = readFlags(
    OPERATOR_FLAGS,
    argv.filter((one) => !PRINTS.includes(one)),
    env,
  )
  if (rest.length > 0) throw new UsageError(`"${rest[0]}" is no flag of operator. Use --help to see the flags.`)
  if (values.has('help')) return print(HELP)
  if (argv.includes('--print-rbac')) return print([rightsOf(values)])
  if (argv.includes('--print-webhook')) return print([webhookOf(values)])
  const log = createLogger({
    write: (line) => process.stdout.write(line),
    level: oneOfValue(values, 'log-level', LOG_LEVELS),
    now: Date.now,
  })
  const operator = new Operator({
    config: operatorConfig(values, env),
    connect: (onRequest) => new KubeClient({ load: () => loadKubeConfig(values.get('kubeconfig')), onRequest }),
    log,
  })
  return runUntilSignal({
    start: async () => log.info('listening', { ...(await operator.start()) }),
    close: () => operator.close(),
    logger: log,
  })
}

function print(lines: readonly string[]): number {
  process.stdout.write(`${lines.join('\n')}\n`)
  return 0
}

function rightsOf(values: FlagValues): string {
  const rights = operatorRights({
    namespace: textOf(values, 'namespace'),
    serviceAccount: textOf(values, 'service-account'),
    namespaces: namespacesOf(values),
    bundleNamespaces: listValue(values, 'bundle-namespaces'),
    ...(values.has('sidecar-image') && { webhook: webhookNameOf(values) }),
  })
  return yamlOf(rights)
}

const webhookOf = (values: FlagValues): string =>
  yamlOf(
    webhookManifests({
      namespace: textOf(values, 'namespace'),
      namespaces: namespacesOf(values),
      configuration: webhookNameOf(values),
    }),
  )

const webhookNameOf = (values: FlagValues): string =>
  values.get('webhook-configuration') ?? webhookConfigurationName(textOf(values, 'namespace'))

const yamlOf = (manifests: readonly object[]): string =>
  manifests.map((manifest) => dump(manifest, { noRefs: true }).trimEnd()).join('\n---\n')

const textOf = (values: FlagValues, name: string): string => values.get(name) ?? ''

function namespacesOf(values: FlagValues): 'all' | readonly string[] {
  const namespaces = listValue(values, 'namespaces')
  return namespaces.length === 0 ? 'all' : namespaces
}

/** Throws UsageError. */
function sidecarConfig(values: FlagValues): SidecarConfig | undefined {
  const image = values.get('sidecar-image')
  if (image === undefined) return undefined
  const operatorUrl = values.get('sidecar-operator') ?? `wss://llama-swap-operator.${textOf(values, 'namespace')}.svc:8443`
  if (!operatorUrl.startsWith('wss://') || !URL.canParse(operatorUrl))
    throw new UsageError(`--sidecar-operator must be wss://HOST:PORT, not "${operatorUrl}".`)
  return {
    image,
    operatorUrl,
    mode: oneOfValue(values, 'sidecar-mode', SIDECAR_MODES),
    port: wholeValue(values, 'webhook-port', 65_535),
    webhook: webhookNameOf(values),
  }
}

function operatorConfig(values: FlagValues, env: Env): OperatorConfig {
  const namespace = textOf(values, 'namespace')
  const gateways = listValue(values, 'gateway-service-accounts')
  const names = listValue(values, 'push-names')
  const port = (name: string): number => wholeValue(values, name, 65_535)
  const address = values.get('address')
  const gatewayUrl = values.get('gateway-url')
  const sidecars = sidecarConfig(values)
  const account = ownAccount(values)
  return {
    namespace,
    identity: `${values.get('identity') ?? hostname()}_${randomUUID()}`,
    install: textOf(values, 'install'),
    namespaces: namespacesOf(values),
    gatewayServiceAccounts: gateways.length > 0 ? gateways : [`${namespace}/llama-swap-gateway`],
    host: textOf(values, 'host'),
    pushPort: port('push-port'),
    metricsPort: port('metrics-port'),
    adminPort: port('admin-port'),
    pushNames: names.length > 0 ? names : serviceNames('llama-swap-operator', namespace),
    bundleNamespaces: listValue(values, 'bundle-namespaces'),
    ...(address !== undefined && { address }),
    ...(gatewayUrl !== undefined && { gatewayUrl }),
    ...(sidecars !== undefined && { sidecars }),
    ...(account !== undefined && { account }),
    addresses: {
      base: 'Cluster',
      allow: listValue(values, 'allow-addresses'),
      deny: listValue(values, 'deny-addresses'),
      apiServer: apiServerAddresses(values, env),
    },
  }
}

/** Where a pod has its token. */
const TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/** Undefined outside of a cluster, or with credentials of another kind. */
function ownAccount(values: FlagValues): OwnAccount | undefined {
  if (values.has('kubeconfig') || !existsSync(TOKEN_FILE)) return undefined
  return readOwnAccount(readFileSync(TOKEN_FILE, 'utf8'))
}

/** Where the operator itself reaches it; the endpoints of the Service `kubernetes` are known from the watch. */
function apiServerAddresses(values: FlagValues, env: Env): readonly string[] {
  const server = loadKubeConfig(values.get('kubeconfig')).getCurrentCluster()?.server
  const host = server === undefined ? undefined : new URL(server).hostname.replace(/^\[|\]$/g, '')
  return [...new Set([host, env['KUBERNETES_SERVICE_HOST']])].filter((one) => one !== undefined && isIP(one) !== 0).map(String)
}
