import { type Labels, type ObjectKey, objectKey, type PodResource } from '../resources/snapshot.ts'
import type { Fields } from '../validate/problem.ts'
import { EXCLUDED_NAMESPACES, INJECT, INJECTED, NOT_INJECTED, SIDECAR_LABEL, UNFULFILLED } from './names.ts'
import { isOurs, partsOf } from './refusal.ts'

/** Why a Pod that asks for a sidecar has none. NotReached: nobody was asked when it was made. */
export const MISSING = [...UNFULFILLED, 'NamespaceNotLabelled', 'NotReached'] as const
export type MissingReason = (typeof MISSING)[number]

/** What of a Pod the audit reads. Undefined = it has nothing to do with sidecars. */
export function sidecarOf(raw: Fields): PodResource['sidecar'] {
  const { annotations, labels, containers, initContainers } = partsOf(raw, '')
  const asked = annotations[INJECT] === 'true'
  const has = [...initContainers, ...containers].some(isOurs) || labels[SIDECAR_LABEL] === 'true'
  const [version, refused] = [annotations[INJECTED], annotations[NOT_INJECTED]]
  if (!asked && !has) return undefined
  return { asked, has, ...(has && version !== undefined && { version }), ...(!has && refused !== undefined && { refused }) }
}

export interface AuditOptions {
  /** Namespaces and their labels; undefined = nobody may read labels, and all Pods that ask are meant. */
  readonly namespaces: ReadonlyMap<string, Labels> | undefined
  /** Of the operator. */
  readonly ownNamespace: string
  /** Of what would be injected now. */
  readonly version: string
}

export interface Missed {
  readonly pod: ObjectKey
  readonly uid: string
  readonly reason: MissingReason
}

export interface Audit {
  readonly missed: readonly Missed[]
  /** Pods that have what would be injected now, an older one, or one that somebody wrote by hand. */
  readonly counts: Readonly<Record<'current' | 'outdated' | 'by_hand', number>>
}

/** All Pods that run or are about to. */
export function audit(pods: Iterable<PodResource>, options: AuditOptions): Audit {
  const missed: Missed[] = []
  const counts = { current: 0, outdated: 0, by_hand: 0 }
  for (const { metadata, uid, sidecar, phase, terminating } of pods) {
    if (sidecar === undefined || terminating || phase === 'Succeeded' || phase === 'Failed') continue
    if (sidecar.has) counts[sidecar.version === undefined ? 'by_hand' : sidecar.version === options.version ? 'current' : 'outdated'] += 1
    else missed.push({ pod: objectKey(metadata), uid, reason: reasonOf(metadata.namespace, sidecar.refused, options) })
  }
  return { missed, counts }
}

function reasonOf(namespace: string, refused: string | undefined, { namespaces, ownNamespace }: AuditOptions): MissingReason {
  if (namespace === ownNamespace || EXCLUDED_NAMESPACES.includes(namespace)) return 'NamespaceExcluded'
  if (namespaces !== undefined && namespaces.get(namespace)?.[INJECT] !== 'true') return 'NamespaceNotLabelled'
  return MISSING.find((reason) => reason === refused) ?? 'NotReached'
}

/** Namespaces that get the bundle: those that are labelled, but for the excluded ones. */
export const optedIn = (namespaces: ReadonlyMap<string, Labels>): readonly string[] =>
  [...namespaces].flatMap(([name, labels]) => (labels[INJECT] === 'true' && !EXCLUDED_NAMESPACES.includes(name) ? [name] : []))
