/** Words that users write, and those that the operator leaves on a Pod. */

/** Label of a namespace and annotation of a Pod; "true" at both, and the Pod gets a sidecar. */
export const INJECT = 'llamaswap.dev/inject'
/** Label of every Pod with a sidecar; by hand too. */
export const SIDECAR_LABEL = 'llamaswap.dev/sidecar'
/** Annotation: the version of what was injected. */
export const INJECTED = 'llamaswap.dev/injected'
/** Annotation: why a Pod that asks for a sidecar was left as it is. */
export const NOT_INJECTED = 'llamaswap.dev/not-injected'
/** Annotation: the containers that get the variables, "a,b"; absent = all that may. */
export const CONTAINERS = 'llamaswap.dev/sidecar-containers'

/** Annotation: "true" = the app ends a classic sidecar itself, by POST /quit, so that a Pod that is to end may have one. */
export const QUITS = 'llamaswap.dev/sidecar-quits'

export const CONTAINER_NAME = 'llama-swap'
export const PUSH_VOLUME = 'llama-swap-push'
export const TABLE_VOLUME = 'llama-swap-table'

/** Why a Pod that asks gets no sidecar: a label of metrics and the value of an annotation. A closed list. */
export const UNFULFILLED = ['NamespaceExcluded', 'HostNetwork', 'StaticPod', 'Windows', 'NeedsNative', 'NameTaken', 'PortConflict'] as const

/** Those, and Pods that nobody misses a sidecar at. */
export const REFUSALS = ['NotAsked', 'HasOwn', ...UNFULFILLED] as const
export type RefusalReason = (typeof REFUSALS)[number]

export interface Refusal {
  readonly reason: RefusalReason
  /** For whoever made the Pod: what it is, and what to do. */
  readonly message: string
}

/** Never with a sidecar, whatever their labels say. */
export const EXCLUDED_NAMESPACES: readonly string[] = ['kube-system', 'kube-node-lease', 'kube-public']

/** What an installation decides of its sidecars. */
export interface SidecarSettings {
  readonly image: string
  /** Native: an init container with restartPolicy Always, Kubernetes 1.29 and newer. */
  readonly mode: 'Native' | 'Classic'
  /** Where a sidecar dials, "wss://…:8443". */
  readonly operatorUrl: string
  /** Of the operator: no sidecars there. */
  readonly namespace: string
}
