import { EXCLUDED_NAMESPACES, INJECT } from './names.ts'

export interface WebhookInstallation {
  /** Of the operator. */
  readonly namespace: string
  /** Namespaces served; 'all' = cluster-wide. */
  readonly namespaces: 'all' | readonly string[]
  /** Name of the MutatingWebhookConfiguration. */
  readonly configuration: string
}

interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly [field: string]: unknown
}

export const WEBHOOK_PATH = '/inject'
/** Of the one webhook within its configuration. */
export const WEBHOOK_NAME = 'sidecars.llamaswap.dev'
/** It has an address of its own: API servers do not dial headless Services. */
export const WEBHOOK_SERVICE = 'llama-swap-webhook'

/** Of the configuration, which lies outside all namespaces: two installations have one each. */
export const webhookConfigurationName = (namespace: string): string => `llama-swap-sidecars-${namespace}`

const LABELS = { 'app.kubernetes.io/name': 'llama-swap', 'app.kubernetes.io/component': 'operator' }

/** What to apply besides the rights so that sidecars are injected. The operator fills in `caBundle`; what else changes stays as it is. */
export function webhookManifests({ namespace, namespaces, configuration }: WebhookInstallation): readonly Manifest[] {
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: WEBHOOK_SERVICE, namespace, labels: LABELS },
      spec: { selector: { app: 'llama-swap-operator' }, ports: [{ name: 'webhook', port: 443, targetPort: 9443 }] },
    },
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: configuration, labels: LABELS },
      webhooks: [webhook(namespace, namespaces)],
    },
  ]
}

const ANNOTATIONS = 'object.metadata.annotations'

/** A Pod that it does not answer for is made without a sidecar; Pods that do not ask never wait for it. */
const webhook = (namespace: string, namespaces: 'all' | readonly string[]): unknown => ({
  name: WEBHOOK_NAME,
  admissionReviewVersions: ['v1'],
  clientConfig: { service: { name: WEBHOOK_SERVICE, namespace, path: WEBHOOK_PATH, port: 443 } },
  failurePolicy: 'Ignore',
  timeoutSeconds: 3,
  sideEffects: 'None',
  reinvocationPolicy: 'IfNeeded',
  matchPolicy: 'Equivalent',
  namespaceSelector: {
    matchLabels: { [INJECT]: 'true' },
    matchExpressions: [
      { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: [...EXCLUDED_NAMESPACES, namespace] },
      ...(namespaces === 'all' ? [] : [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: namespaces }]),
    ],
  },
  rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'], scope: 'Namespaced' }],
  matchConditions: [
    { name: 'asks', expression: `has(${ANNOTATIONS}) && '${INJECT}' in ${ANNOTATIONS} && ${ANNOTATIONS}['${INJECT}'] == 'true'` },
  ],
})
