/**
 * The rights an operator needs, as manifests: one ClusterRole for a cluster-wide install, Roles only for a namespaced one, each with exactly
 * the verbs it uses. In: names. Out: objects to apply (`llama-swap operator --print-rbac`, and the chart's templates say the same).
 * PURE: builds values, applies nothing.
 */

export interface Installation {
  /** Where the operator runs. */
  readonly namespace: string
  readonly serviceAccount: string
  /** Namespaces served; 'all' = cluster-wide. */
  readonly namespaces: 'all' | readonly string[]
}

export interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames?: readonly string[]
  readonly verbs: readonly string[]
}

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels: Readonly<Record<string, string>> }
  readonly [field: string]: unknown
}

const GROUP = 'rbac.authorization.k8s.io'
const NAME = 'llama-swap-operator'
const LABELS = { 'app.kubernetes.io/name': 'llama-swap', 'app.kubernetes.io/component': 'operator' }
const READ = ['get', 'list', 'watch']

const rule = (group: string, resources: readonly string[], verbs: readonly string[]): Rule => ({ apiGroups: [group], resources, verbs })

/** In every namespace served: read what routing depends on, write status, events and the scope Lease. */
const SERVED: readonly Rule[] = [
  rule('llamaswap.dev', ['llamamodels', 'routingpolicies'], READ),
  rule('llamaswap.dev', ['llamamodels/status', 'routingpolicies/status'], ['patch']),
  rule('', ['services', 'pods', 'secrets'], READ),
  rule('discovery.k8s.io', ['endpointslices'], READ),
  rule('events.k8s.io', ['events'], ['create', 'patch']),
  rule('coordination.k8s.io', ['leases'], ['get', 'create', 'update']),
]

/** In its own namespace besides: the leader Lease, the push's CA and its bundle, and the gateways' pods. */
const OWN: readonly Rule[] = [
  rule('coordination.k8s.io', ['leases'], ['get', 'create', 'update']),
  rule('', ['secrets'], ['get', 'create', 'update']),
  rule('', ['configmaps'], ['get', 'create', 'patch']),
  rule('', ['pods'], READ),
]

/** Only a cluster-wide install: namespaces by label, and tokens asked of the API server. */
const CLUSTER: readonly Rule[] = [rule('', ['namespaces'], READ), rule('authentication.k8s.io', ['tokenreviews'], ['create'])]

/**
 * The objects to apply, ServiceAccount first. What lies outside the installation's own namespace has that namespace in its name: another
 * installation must not take its rights away.
 */
export function operatorRights(installation: Installation): readonly Manifest[] {
  const { namespace, serviceAccount, namespaces } = installation
  const account: Manifest = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: serviceAccount, namespace, labels: LABELS } }
  const name = `${NAME}-${namespace}`
  const own = [makeRole(namespace, `${NAME}-own`, OWN), makeBinding('Role', namespace, `${NAME}-own`, installation)]
  if (namespaces === 'all') {
    return [account, makeClusterRole(name, [...SERVED, ...CLUSTER]), makeBinding('ClusterRole', undefined, name, installation), ...own]
  }
  const served = namespaces.flatMap((served) => [makeRole(served, name, SERVED), makeBinding('Role', served, name, installation)])
  return [account, ...served, ...own]
}

const makeClusterRole = (name: string, rules: readonly Rule[]): Manifest => ({
  apiVersion: `${GROUP}/v1`,
  kind: 'ClusterRole',
  metadata: { name, labels: LABELS },
  rules,
})

const makeRole = (namespace: string, name: string, rules: readonly Rule[]): Manifest => ({
  apiVersion: `${GROUP}/v1`,
  kind: 'Role',
  metadata: { name, namespace, labels: LABELS },
  rules,
})

/** Without `namespace` a ClusterRoleBinding. */
function makeBinding(role: 'ClusterRole' | 'Role', namespace: string | undefined, name: string, installation: Installation): Manifest {
  return {
    apiVersion: `${GROUP}/v1`,
    kind: namespace === undefined ? 'ClusterRoleBinding' : 'RoleBinding',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), labels: LABELS },
    roleRef: { apiGroup: GROUP, kind: role, name },
    subjects: [{ kind: 'ServiceAccount', name: installation.serviceAccount, namespace: installation.namespace }],
  }
}
