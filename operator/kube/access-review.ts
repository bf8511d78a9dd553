import { type Fields, isFields } from '../validate/problem.ts'
import type { CallOptions, KubeClient } from './client.ts'

/** One thing that may be asked of the API server. */
export interface Access {
  /** Absent: everywhere. */
  readonly namespace?: string
  /** "" for the core group. */
  readonly group: string
  /** "pods", or with a subresource "pods/status". */
  readonly resource: string
  readonly verb: string
  /** Of the object; absent: any. */
  readonly name?: string
}

/** As a Role has it; "*" stands for all. */
export interface GrantedRule {
  readonly groups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  /** Empty: all. */
  readonly names: readonly string[]
}

const PATH = '/apis/authorization.k8s.io/v1'

/** What the client itself may do in a namespace, as far as the API server can list it: other authorizers than RBAC may allow more. */
export async function readGrantedRules(client: KubeClient, namespace: string, options: CallOptions): Promise<readonly GrantedRule[]> {
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } }
  const { status } = await client.create(`${PATH}/selfsubjectrulesreviews`, body, options)
  const rules = isFields(status) ? status['resourceRules'] : undefined
  return Array.isArray(rules) ? rules.filter(isFields).map(readRule) : []
}

/** Whether the client itself may do this. */
export async function mayDo(client: KubeClient, access: Access, options: CallOptions): Promise<boolean> {
  const { namespace, group, verb, name } = access
  const [resource, subresource] = access.resource.split('/')
  const where = { ...(namespace && { namespace }), ...(name && { name }), ...(subresource && { subresource }) }
  const resourceAttributes = { group, resource, verb, ...where }
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } }
  const { status } = await client.create(`${PATH}/selfsubjectaccessreviews`, body, options)
  return isFields(status) && status['allowed'] === true
}

const readRule = ({ apiGroups, resources, verbs, resourceNames }: Fields): GrantedRule => ({
  groups: textsOf(apiGroups),
  resources: textsOf(resources),
  verbs: textsOf(verbs),
  names: textsOf(resourceNames),
})

const textsOf = (list: unknown): readonly string[] => (Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [])
