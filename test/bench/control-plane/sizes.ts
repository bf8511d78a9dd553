/** What is written to the API server: models, each with a Service and one EndpointSlice of its own. PURE. */

export interface Written {
  /** Of its collection, for POST. */
  readonly collection: string
  readonly manifest: { readonly apiVersion: string; readonly kind: string; readonly metadata: { readonly name: string } }
}

export interface ModelSize {
  readonly index: number
  readonly endpoints: number
}

export const PORT = 8000

export const modelName = (index: number): string => `model-${String(index).padStart(4, '0')}`
export const modelsOf = (namespace: string): string => `/apis/llamaswap.dev/v1alpha1/namespaces/${namespace}/llamamodels`
export const slicesOf = (namespace: string): string => `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`

/** In the order in which they are written. */
export function objectsOf(namespace: string, { index, endpoints }: ModelSize): readonly Written[] {
  const name = modelName(index)
  const metadata = { name }
  const service = { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ name: 'http', port: PORT }] } }
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, labels: { 'kubernetes.io/service-name': name, 'endpointslice.kubernetes.io/managed-by': 'benchmark' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: PORT, protocol: 'TCP' }],
    endpoints: endpointsOf(index, endpoints),
  }
  const backend = { name: 'pool', engine: 'vLLM', service: { name, port: { name: 'http' } } }
  const model = {
    apiVersion: 'llamaswap.dev/v1alpha1',
    kind: 'LlamaModel',
    metadata,
    spec: { aliases: [{ name: `${name}-latest` }], backends: [backend] },
  }
  return [
    { collection: `/api/v1/namespaces/${namespace}/services`, manifest: service },
    { collection: slicesOf(namespace), manifest: slice },
    { collection: modelsOf(namespace), manifest: model },
  ]
}

/** `last`: another address for the last of them. */
export function endpointsOf(model: number, count: number, last?: string): readonly unknown[] {
  return Array.from({ length: count }, (_, at) => ({
    addresses: [at === count - 1 && last !== undefined ? last : `10.${200 + (model >> 8)}.${model & 255}.${at + 1}`],
    conditions: { ready: true, serving: true, terminating: false },
  }))
}

/** One that no endpoint has had: 16,000 of them. */
export const freshAddress = (turn: number): string => `10.190.${Math.floor(turn / 250)}.${(turn % 250) + 1}`
