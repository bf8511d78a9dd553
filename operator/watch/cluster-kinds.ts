import {
  CLIENT_KEY_LABEL,
  type ClientKeyResource,
  type EndpointSliceResource,
  type Labels,
  type ModelResource,
  NAMESPACE_NAME_LABEL,
  type ObjectKey,
  type PodResource,
  type PolicyResource,
  type ServiceResource,
} from '../resources/snapshot.ts'
import type { Fields } from '../validate/problem.ts'
import { projectMetadata } from './project-metadata.ts'
import { projectPod } from './project-pod.ts'
import { type HeldResource, projectModel, projectPolicy } from './project-resource.ts'
import { projectClientKeys } from './project-secret.ts'
import { projectService } from './project-service.ts'
import { projectSlice } from './project-slice.ts'
import { WatchedKind, type WatchSettings } from './watched-kind.ts'

const OURS = { group: 'llamaswap.dev', version: 'v1alpha1' }
const CORE = { group: '', version: 'v1' }

export interface NamespaceLabels {
  readonly name: string
  readonly labels: Labels
}

/** What is watched. Namespaces only where all are served: reading them takes a ClusterRole. */
export interface ClusterKinds {
  readonly models: WatchedKind<HeldResource<ModelResource>>
  readonly policies: WatchedKind<HeldResource<PolicyResource>>
  readonly clientKeys: WatchedKind<ClientKeyResource>
  readonly services: WatchedKind<ServiceResource>
  readonly slices: WatchedKind<EndpointSliceResource>
  readonly pods: WatchedKind<PodResource>
  readonly namespaces: WatchedKind<NamespaceLabels> | undefined
}

export interface ClusterKindsOptions {
  readonly settings: WatchSettings
  readonly namespaces: 'all' | readonly string[]
  /** Where proxies' pods may be besides: the operator's own namespace. */
  readonly podNamespaces: readonly string[]
  readonly onChange: (kind: keyof ClusterKinds, key: ObjectKey) => void
}

export function watchKinds({ settings, namespaces, podNamespaces, onChange }: ClusterKindsOptions): ClusterKinds {
  const shared = (kind: keyof ClusterKinds) => ({ settings, namespaces, onChange: (key: ObjectKey): void => onChange(kind, key) })
  const selector = `${CLIENT_KEY_LABEL}=true`
  return {
    models: new WatchedKind({ ...shared('models'), kind: { ...OURS, resource: 'llamamodels' }, project: projectModel }),
    policies: new WatchedKind({ ...shared('policies'), kind: { ...OURS, resource: 'routingpolicies' }, project: projectPolicy }),
    clientKeys: new WatchedKind({
      ...shared('clientKeys'),
      kind: { ...CORE, resource: 'secrets', labelSelector: selector },
      project: projectClientKeys,
    }),
    services: new WatchedKind({ ...shared('services'), kind: { ...CORE, resource: 'services' }, project: projectService }),
    slices: new WatchedKind({
      ...shared('slices'),
      kind: { group: 'discovery.k8s.io', version: 'v1', resource: 'endpointslices' },
      project: projectSlice,
    }),
    pods: new WatchedKind({
      ...shared('pods'),
      namespaces: namespaces === 'all' ? 'all' : [...new Set([...namespaces, ...podNamespaces])],
      kind: { ...CORE, resource: 'pods' },
      project: projectPod,
    }),
    namespaces:
      namespaces === 'all'
        ? new WatchedKind({ ...shared('namespaces'), kind: { ...CORE, resource: 'namespaces' }, project: projectNamespace })
        : undefined,
  }
}

export const labelsOfNamespace = (name: string, labels: Labels = {}): Labels => ({ ...labels, [NAMESPACE_NAME_LABEL]: name })

function projectNamespace(raw: Fields): NamespaceLabels {
  const { name, labels } = projectMetadata(raw)
  return { name, labels: labelsOfNamespace(name, labels) }
}
