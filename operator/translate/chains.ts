import { mayUse, type Ref } from '../../proxy/routing-table/index.ts'
import type { RoutingPolicySpec } from '../resources/crds.generated.ts'
import type { PolicyResource, Resources } from '../resources/snapshot.ts'
import { translateAccess } from './access.ts'

/** Policies that fall back to each other, as their resources say. */
export interface Chains {
  readonly policies: Resources['policies']
  readonly namespaces: Resources['namespaces']
}

export const refOf = (spelled: string, namespace: string): Ref => (spelled.includes('/') ? spelled : `${namespace}/${spelled}`)

/** Whether there is such a policy, and its access admits that namespace. */
export function mayFollow({ policies, namespaces }: Chains, ref: Ref, namespace: string): boolean {
  const policy = policies.get(ref)
  return policy !== undefined && mayUse(translateAccess(policy.spec.access, namespaces), policy.metadata.namespace, namespace)
}

/** The policies on the way from one back to itself by way of another, ends included; undefined = it does not lead back. */
export function cycleThrough(chains: Chains, from: Ref, by: Ref): readonly Ref[] | undefined {
  const seen = new Set<Ref>()
  const walk = (ref: Ref, way: readonly Ref[]): readonly Ref[] | undefined => {
    if (ref === from) return [...way, ref]
    if (seen.has(ref)) return undefined
    seen.add(ref)
    for (const next of followed(chains, ref)) {
      const found = walk(next, [...way, ref])
      if (found !== undefined) return found
    }
    return undefined
  }
  return walk(by, [from])
}

function followed(chains: Chains, ref: Ref): readonly Ref[] {
  const policy = chains.policies.get(ref)
  if (policy === undefined) return []
  const { namespace } = policy.metadata
  return policiesNamed(policy.spec, namespace).filter((next) => mayFollow(chains, next, namespace))
}

const policiesNamed = ({ fallback, rules = [] }: RoutingPolicySpec, namespace: string): readonly Ref[] =>
  [fallback, ...rules.map((rule) => rule.fallback)].flatMap((one) =>
    (one?.targets ?? []).flatMap(({ policy }) => (policy === undefined ? [] : [refOf(policy, namespace)])),
  )

export const namesPolicies = ({ spec, metadata }: PolicyResource): boolean => policiesNamed(spec, metadata.namespace).length > 0
