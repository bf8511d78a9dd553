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
  /** Namespaces that get the push's CA bundle besides its own. */
  readonly bundleNamespaces?: readonly string[]
  /** Name of its MutatingWebhookConfiguration; absent = no sidecars are injected. */
  readonly webhook?: string
}

/** What one Role or ClusterRole has to allow. */
export interface NeededRights {
  /** Absent: everywhere, by a ClusterRole. */
  readonly namespace?: string
  readonly role: string
  readonly rules: readonly Rule[]
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
const WATCH = ['list', 'watch']

const rule = (group: string, resources: readonly string[], verbs: readonly string[]): Rule => ({ apiGroups: [group], resources, verbs })

/** In every namespace served: read what routing depends on, write status, events and the scope Lease. `get` is for what a write begins with. */
const SERVED: readonly Rule[] = [
  rule('llamaswap.dev', ['llamamodels', 'routingpolicies'], ['get', ...WATCH]),
  rule('llamaswap.dev', ['llamamodels/status', 'routingpolicies/status'], ['patch']),
  rule('', ['secrets'], ['get', ...WATCH]),
  rule('', ['services', 'pods'], WATCH),
  rule('discovery.k8s.io', ['endpointslices'], WATCH),
  rule('events.k8s.io', ['events'], ['create', 'patch']),
  rule('coordination.k8s.io', ['leases'], ['get', 'create', 'update']),
]

const BUNDLE: readonly Rule[] = [rule('', ['configmaps'], ['get', 'create', 'patch'])]

/** In its own namespace besides: the leader Lease, the push's CA and its bundle, and the gateways' pods. */
const OWN: readonly Rule[] = [
  rule('coordination.k8s.io', ['leases'], ['get', 'create', 'update']),
  rule('', ['secrets'], ['get', 'create', 'update']),
  ...BUNDLE,
  rule('', ['pods'], WATCH),
]

/** Only a cluster-wide install: namespaces by label, and tokens asked of the API server. */
const CLUSTER: readonly Rule[] = [rule('', ['namespaces'], WATCH), rule('authentication.k8s.io', ['tokenreviews'], ['create'])]

/** Its own webhook's `caBundle`; of all webhooks of the cluster no other. */
const webhookRules = (name: string): readonly Rule[] => [
  { ...rule('admissionregistration.k8s.io', ['mutatingwebhookconfigurations'], ['get', 'patch']), resourceNames: [name] },
]

/** The bundle in whatever namespace is labelled; of all ConfigMaps no other. */
const BUNDLE_ANYWHERE: readonly Rule[] = BUNDLE.map((bundle) => ({ ...bundle, resourceNames: ['llama-swap-push-ca'] }))

/**
 * By Role and ClusterRole. What lies outside the installation's own namespace has that namespace in its name: another installation must not
 * take its rights away. What it has in its own besides has no namespace in its name, so none can be called like it.
 */
export function neededRights({
  namespace,
  namespaces,
  bundleNamespaces = [],
  webhook,
}: Omit<Installation, 'serviceAccount'>): readonly NeededRights[] {
  const role = `${NAME}-${namespace}`
  const served: readonly NeededRights[] =
    namespaces === 'all'
      ? [{ role, rules: [...SERVED, ...CLUSTER] }]
      : namespaces.map((served) => ({ namespace: served, role, rules: SERVED }))
  const bundles = bundleNamespaces
    .filter((other) => other !== namespace)
    .map((other) => ({ namespace: other, role: `${role}-bundle`, rules: BUNDLE }))
  const injecting =
    webhook === undefined
      ? []
      : [{ role: `${role}-sidecars`, rules: [...webhookRules(webhook), ...(namespaces === 'all' ? BUNDLE_ANYWHERE : [])] }]
  const isServed = namespaces === 'all' || namespaces.includes(namespace)
  return [...served, { namespace, role: NAME, rules: isServed ? without(OWN, SERVED) : OWN }, ...bundles, ...injecting]
}

/** `rules` but for the verbs that `granted` has for the same things. */
function without(rules: readonly Rule[], granted: readonly Rule[]): readonly Rule[] {
  const isIn = (list: readonly string[], items: readonly string[]): boolean => items.every((item) => list.includes(item))
  return rules.flatMap((rule) => {
    const same = granted.filter(({ apiGroups, resources }) => isIn(apiGroups, rule.apiGroups) && isIn(resources, rule.resources))
    const verbs = rule.verbs.filter((verb) => !same.some((one) => one.verbs.includes(verb)))
    return verbs.length === 0 ? [] : [{ ...rule, verbs }]
  })
}

/** The objects to apply, ServiceAccount first. */
export function operatorRights(installation: Installation): readonly Manifest[] {
  const { namespace, serviceAccount: name } = installation
  const account: Manifest = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace, labels: LABELS } }
  const roles = neededRights(installation).flatMap(({ namespace: place, role, rules }) =>
    place === undefined
      ? [makeClusterRole(role, rules), makeBinding('ClusterRole', undefined, role, installation)]
      : [makeRole(place, role, rules), makeBinding('Role', place, role, installation)],
  )
  return [account, ...roles]
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
